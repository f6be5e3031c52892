"""How fast the exchange is, measured from its clients' side.

``figures``  latencies into percentiles and a histogram; ratios with an earlier result. Pure
``load``     the four ways to send orders, from real clients to a running cluster
"""
