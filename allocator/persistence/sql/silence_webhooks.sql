-- Keep the webhooks of a restored copy from delivering until they are enabled: their receivers are
-- those of the installation that was copied. Then they go on behind what was restored.
-- $1 why, for people
INSERT INTO webhook_deliveries (name, life, enabled, position, last_error, last_error_at)
SELECT name, version, false,
       coalesce((SELECT concat_ws('.', era, xid, actor_id, seq) FROM journal
                 ORDER BY era DESC, xid DESC, actor_id DESC, seq DESC LIMIT 1), '0.0.0.0'),
       $1, now()
FROM webhooks WHERE url IS NOT NULL
ON CONFLICT (name) DO NOTHING
