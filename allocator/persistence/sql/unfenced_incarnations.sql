-- List the incarnations that may write.
SELECT incarnation FROM workers WHERE NOT fenced
