-- Several workers make one server, and own the shards together: a worker of another server is not
-- one to pass a request to, but one to wait for. A worker's address is the path of the Unix socket
-- on which it takes requests of its peers, '' if it takes none.
ALTER TABLE workers ADD COLUMN server text NOT NULL DEFAULT '';
