"""From settings, and what the cluster was before, to a plan; and what would change. Pure.

A cluster that has run before keeps what others rely on: names, ports, the order and rules of its
markets (they are in the log), the kind of its log. The rest follows the configuration of each ``up``.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from p2pcli.cluster.plan import ClusterPlan, LogAccess, MemberSlot, NodeSlot, with_node_count
from p2pcli.config import Config
from p2pcli.errors import Conflict
from p2pcli.market.instrument import Instrument


class PlanConflict(Conflict):
    """The configuration asks for something the existing cluster cannot become."""

    code = "plan_conflict"


def plan_cluster(
    config: Config, former: ClusterPlan | None = None, *, ephemeral: bool = False
) -> ClusterPlan:
    """Return the plan that ``config`` asks for, keeping what ``former`` settled.

    There are as many nodes and bots as before unless a number was set. Raises ``PlanConflict`` when the
    log would be another, a market's rules would change, or a durable cluster would become ephemeral.
    """
    name = config.cluster.name
    if former is not None and former.ephemeral:
        former = None  # nothing of it was meant to stay
    if former is not None and ephemeral:
        raise PlanConflict(
            f"cluster {name} has data that an ephemeral cluster would delete",
            hint=f"p2px cluster down --wipe --name {name}, or up with another --name",
        )
    plan = ClusterPlan(
        name=name,
        nodes=former.nodes if former is not None else (),
        members=_members(config, former),
        markets=_markets(config.markets, former),
        host=config.cluster.host,
        log_url=config.log.url,
        log_identity=former.log_identity if former is not None else "",
        log_access=log_access(config),
        durable=config.log.durable and not ephemeral,
        ephemeral=ephemeral,
        bots=config.cluster.bots,
        bot_interval_s=config.cluster.bot_interval,
        grapes=config.registry.grapes,
        ring=config.registry.ring,
        free_ports=config.registry.free_ports,
        announce_s=config.registry.announce_interval,
        exchange_name=config.registry.exchange_name,
        trades_name=config.registry.trades_name,
        queued_commands=config.node.queued_requests,
        queued_batches=config.node.queued_batches,
        append_timeout_s=config.log.append_timeout,
        registry_timeout_s=config.registry.request_timeout,
        snapshot_commands=config.log.snapshot_commands,
        connections=config.node.connections,
        breaker_failures=config.breaker.failures,
        breaker_reset_s=config.breaker.reset_after,
        requests_per_minute=config.node.requests_per_minute,
        performance_threshold_s=config.node.performance_threshold,
        metrics_port=config.node.metrics_port,
        metrics_host=config.node.metrics_host,
        grenache_host=config.node.grenache_host,
        environment=config.cluster.environment,
        log_level=config.logging.level,
        logs="" if config.logging.folder is None else str(config.logging.folder),
        log_file_size=config.logging.file_size,
        log_files=config.logging.files,
        ready_timeout=max(config.cluster.ready_timeout, 120.0),
        stop_timeout=config.cluster.stop_timeout,
        health_check_s=config.cluster.health_check_interval,
    )
    if ephemeral and plan.engine == "etcd":
        raise PlanConflict(
            "an ephemeral cluster keeps its log in its folder, the configuration says " + plan.log_url,
            hint=f"p2px cluster up --name {name}-test, and later down --wipe, which deletes it from etcd too",
        )
    if former is not None and config.origin("log.url") == "default":
        plan = msgspec.structs.replace(plan, log_url=former.log_url)  # it may have been moved there
    if former is not None and plan.log_url != former.log_url:
        raise PlanConflict(
            f"cluster {name} keeps its log at {former.log_url}, the configuration says {plan.log_url}",
            hint=f"set log.url to {former.log_url}, or up with another --name",
        )
    return _counted(plan, config, former)


def _counted(plan: ClusterPlan, config: Config, former: ClusterPlan | None) -> ClusterPlan:
    if former is not None and config.origin("cluster.bots") == "default":
        plan = msgspec.structs.replace(plan, bots=former.bots)
    keeps_count = former is not None and config.origin("cluster.nodes") == "default"
    plan = plan if keeps_count else with_node_count(plan, config.cluster.nodes)
    return with_hosts(plan, config.cluster.hosts)


Hosts = Iterable[tuple[str, Sequence[str]]]  # nodes with the symbols of their markets


def with_hosts(plan: ClusterPlan, hosts: Hosts) -> ClusterPlan:
    """Return the plan with each node's markets; a node that is not listed hosts all.

    Raises ``PlanConflict`` for a market that does not exist or that no node hosts.
    """
    table = {name: tuple(symbols) for name, symbols in hosts}
    nodes = tuple(hosting(plan, NodeSlot(node.name, node.port), table.items()) for node in plan.nodes)
    everything = tuple(market.symbol for market in plan.markets)
    hosted = {symbol for node in nodes for symbol in node.hosts or everything}
    hosted |= {symbol for symbols in table.values() for symbol in symbols}  # also at nodes of other machines
    for symbol in everything:
        if symbol not in hosted:
            raise PlanConflict(
                f"no node hosts market {symbol}",
                hint=f"add it to a node in cluster.hosts, like {plan.nodes[0].name}={symbol}",
            )
    return msgspec.structs.replace(plan, nodes=nodes)


def hosting(plan: ClusterPlan, node: NodeSlot, hosts: Hosts) -> NodeSlot:
    """Return the node with its markets, unless it has some. Raises ``PlanConflict`` for an unknown market."""
    listed = dict(hosts)
    known = [market.symbol for market in plan.markets]
    for name, symbols in (*listed.items(), (node.name, node.hosts)):
        for symbol in symbols:
            if symbol not in known:
                raise PlanConflict(
                    f"node {name} is to host {symbol}, which is no market of cluster {plan.name}",
                    hint="its markets are " + ", ".join(known),
                )
    return msgspec.structs.replace(node, hosts=node.hosts or tuple(listed.get(node.name, ())))


def differences(running: ClusterPlan, wanted: ClusterPlan) -> list[str]:
    """Return what ``wanted`` would change, one line each: ``nodes: 3 runs, 5 is configured``."""
    lines = []
    for field in msgspec.structs.fields(ClusterPlan):
        runs, configured = _shown(getattr(running, field.name)), _shown(getattr(wanted, field.name))
        if runs != configured:
            lines.append(f"{field.name.replace('_', ' ')}: {runs} runs, {configured} is configured")
    return lines


def _members(config: Config, former: ClusterPlan | None) -> tuple[MemberSlot, ...]:
    """Ports somebody chose come first, then those the member had, then the defaults."""
    had = {member.name: member for member in former.members} if former is not None else {}
    http_is_chosen = config.origin("registry.http_ports") != "default"
    dht_is_chosen = config.origin("registry.dht_ports") != "default"
    members = []
    for index in range(config.registry.members):
        name = f"registry{index + 1}"
        http, dht = _at(config.registry.http_ports, index), _at(config.registry.dht_ports, index)
        if name in had:
            http = http if http_is_chosen else had[name].http_port
            dht = dht if dht_is_chosen else had[name].dht_port
        members.append(MemberSlot(name, http, dht))
    return tuple(members)


def log_access(config: Config) -> LogAccess:
    """Return what the settings say is to be shown at the log's door."""
    log = config.log
    return LogAccess(_path(log.ca), _path(log.cert), _path(log.key), log.user, _path(log.password_file))


def _path(path: Path | None) -> str:
    return "" if path is None else str(path)


def _at(ports: tuple[int, ...], index: int) -> int:
    return ports[index] if index < len(ports) else 0


def _markets(configured: tuple[Instrument, ...], former: ClusterPlan | None) -> tuple[Instrument, ...]:
    """Markets that exist stay as they are, with their numbers; new ones are numbered after them."""
    markets = list(former.markets) if former is not None else []
    known = {market.symbol: market for market in markets}
    for market in configured:
        existing = known.get(market.symbol)
        if existing is None:
            markets.append(msgspec.structs.replace(market, number=len(markets) + 1))
        elif (changed := _changed_rule(existing, market)) is not None:
            raise PlanConflict(
                f"market {market.symbol} exists with {changed} {getattr(existing, changed)}, the "
                f"configuration says {getattr(market, changed)}; its rules are in its log and stay",
                hint="give the changed market another symbol, or up with another --name",
            )
    return tuple(markets)


def _changed_rule(existing: Instrument, configured: Instrument) -> str | None:
    for name in Instrument.__struct_fields__:
        if name != "number" and getattr(existing, name) != getattr(configured, name):
            return name
    return None


def _shown(value: object) -> str:
    """Text of a plan's field. Of nodes and members only the number: ports settle by themselves."""
    if isinstance(value, tuple) and all(isinstance(item, NodeSlot | MemberSlot) for item in value):
        return str(len(value))
    if isinstance(value, tuple):
        return ", ".join(item.symbol if isinstance(item, Instrument) else str(item) for item in value)
    return str(value)
