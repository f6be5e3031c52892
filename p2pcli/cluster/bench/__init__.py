"""How fast the exchange is, measured from its clients' side.

``figures``  latencies into percentiles and a histogram; ratios with an earlier result. Pure
``flow``     which commands are sent. Pure
``load``     the four ways to send them, from real clients to a running cluster
``lag``      how long every node takes to show what one has answered
``machine``  what the machine is, and what its disk and each process do meanwhile
"""
