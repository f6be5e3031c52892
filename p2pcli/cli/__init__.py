"""The roof: words typed by people, tables read by people.

```text
argv ── start* ── main* ── verbs ── order, book, trades ...   one module a group, imported when typed
                    │                 │
                    │               words      reach* ── node/client    text -> commands; where the node is
                    │                            │
                 failure        screen* ── render/                      outcomes and views -> text, JSON
```

Start reading at ``main``: it holds the table of commands and the one place where a failure becomes
text and an exit code. ``render`` and ``words`` are pure, so what people read is tested without a
cluster.

Start-up time is a feature: ``p2px order buy`` is one process per order. So ``main`` imports Click and
nothing else, every group is imported when its name is typed, and what only some runs need (tables,
CSV, YAML) is imported inside the function that needs it.
"""
