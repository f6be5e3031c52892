"""The second floor: one durable order of batches per market. It carries bytes and knows no book.

Start reading at ``entry`` (what a batch, an entry and a log are), then ``chain`` and ``sessions``, the
pure rules; ``sqlite`` is the engine of one machine, ``etcd`` that of many.

```text
   committer --append(batch)--> [ 1 | 2 | 3 | ... | last ] --read(after)--> applier of every node
                                  ^ chain(n) = hash(chain(n-1), batch n)
```

The engine gives total order, durability and at-least-once, no more. Exactly-once and fencing are rules of
the machine (``sessions``), so they hold above every engine alike.

| room | what it is for |
| --- | --- |
| entry | Batch, Entry, the Log protocol and its failures |
| chain | the hash that makes a changed or missing entry visible |
| check | whether a run of entries is dense and chained |
| sessions | exactly-once and fencing: which batches the machine admits |
| sqlite* | the log in one WAL database that several processes share: writing, waiting, trimming |
| rows* | its reading half: rows back into entries that were checked |
| schema* | how that database is made, opened and made sure of |
| health | what an SQLite error means, and whether the log may go on |
| folder* | its folder, durably made |
| flock* | the two doors every writer of a folder passes, one process at a time |
| doorbell* | waking the tailers of other processes after a commit |
| etcd* | the log of many machines, one key per batch: appending |
| etcd_reader* | its reading half: lanes of batches back into one order |
| etcd_merge | the rule of that: by etcd's revision, counted and hashed |
| etcd_trim | its ends: old entries deleted, those of another log installed |
| etcd_market | one market's keys: found, made, described, deleted |
| etcd_keys, etcd_messages, etcd_place | what keys and values look like, etcd's own messages, the address |
| etcd_client* | asks one member after another over gRPC |
| ballast* | the spare file that is given up when the disk is full |

Rejected: ``BEGIN IMMEDIATE`` with SQLite's busy handler as the only lock (one writer starves, and two
processes may checkpoint at once), inotify on the ``-wal`` file (it fires before the commit is visible),
a file format of our own (torn tails, trimming and shared reading are what SQLite has solved).
"""
