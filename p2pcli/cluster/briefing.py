"""What each process of a plan is told, in the words of its own floor. Pure; used inside the children.

Each function imports the plan it makes: a node's process has no use for the registry, nor the other way
round, and both are started often and should be quick.
"""

from typing import TYPE_CHECKING

import msgspec

from p2pcli.cluster.folder import ClusterFolder
from p2pcli.cluster.plan import ClusterPlan

if TYPE_CHECKING:
    from p2pcli.cluster.bot import BotPlan
    from p2pcli.grenache.process import GatewayPlan
    from p2pcli.registry.process import MemberPlan


def node_plan(plan: ClusterPlan, folder: ClusterFolder, name: str) -> "GatewayPlan":
    """Return what the node of that name is told."""
    from p2pcli.grenache.process import GatewayPlan
    from p2pcli.node.plan import NodePlan

    slot = next(node for node in plan.nodes if node.name == name)
    node = NodePlan(
        cluster=plan.name,
        name=name,
        folder=str(folder.nodes / name),
        log=log_url(plan, folder),
        markets=list(plan.markets),
        hosts=list(slot.hosts),
        secret_path=str(folder.secret_path),
        registry=list(plan.registry),
        host=plan.host,
        port=slot.port,
        durable=plan.durable,
        connections=plan.connections,
        breaker_failures=plan.breaker_failures,
        breaker_reset_s=plan.breaker_reset_s,
        announce_s=plan.announce_s,
        queued_commands=plan.queued_commands,
        queued_batches=plan.queued_batches,
        append_timeout_s=plan.append_timeout_s,
        registry_timeout_s=plan.registry_timeout_s,
        snapshot_commands=plan.snapshot_commands,
        requests_per_minute=plan.requests_per_minute,
        slow_s=plan.performance_threshold_s,
        metrics_port=plan.metrics_port_of(name),
        metrics_host=plan.metrics_host,
        tls=str(folder.tls) if folder.authority() else "",
    )
    return GatewayPlan(
        node,
        shared_folder=str(folder.data),
        exchange_name=plan.exchange_name,
        trades_name=plan.trades_name,
        host=plan.grenache_host,
    )


def bot_plan(plan: ClusterPlan, folder: ClusterFolder, name: str) -> "BotPlan":
    """Return what the bot of that name is told."""
    from p2pcli.cluster.bot import BotPlan

    return BotPlan(name, str(folder.path), plan.bot_interval_s)


def log_url(plan: ClusterPlan, folder: ClusterFolder) -> str:
    """Return where the cluster's log is, in full."""
    if plan.engine == "etcd":
        from p2pcli.node.engine import etcd_url

        access = msgspec.structs.asdict(plan.log_access)
        return etcd_url(plan.log_url, plan.name, plan.log_identity, **access)
    return f"sqlite://{folder.data}" if plan.log_url == "sqlite" else plan.log_url


def member_plan(plan: ClusterPlan, folder: ClusterFolder, name: str) -> "MemberPlan":
    """Return what the registry member of that name is told."""
    from p2pcli.registry.process import MemberPlan
    from p2pcli.rpc.exposure import ANY, own_addresses

    slot = next(member for member in plan.members if member.name == name)
    host = plan.host
    if host == ANY:  # members that met at loopback would tell other machines that address
        host = next(iter(own_addresses()), "127.0.0.1")
    return MemberPlan(
        name=name,
        folder=str(folder.registry / name),
        http_port=slot.http_port,
        dht_port=slot.dht_port,
        host=plan.host,
        bootstrap=(*(f"{host}:{member.dht_port}" for member in plan.members), *plan.ring),
    )
