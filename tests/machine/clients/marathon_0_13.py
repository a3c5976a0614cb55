"""Every call of the PyPI client `marathon` 0.13 against a running system, unmodified.

    TEPUI_URL=http://127.0.0.1:8000/service/marathon TEPUI_TOKEN=... python marathon_0_13.py

Prints a line a call; ends with 1 at the first answer that is not as the client's users know it.
"""
import collections
import collections.abc
import os
import sys
import threading
import time

# The client was written for Python 3.9 and older, which had this name here too; the client itself is as published.
collections.Iterable = collections.abc.Iterable

from marathon import MarathonClient
from marathon.exceptions import ConflictError, MarathonHttpError, NotFoundError
from marathon.models import MarathonApp, MarathonGroup, MarathonHealthCheck
from marathon.models.app import MarathonUpgradeStrategy
from marathon.models.constraint import MarathonConstraint
from marathon.models.container import MarathonContainerPortMapping  # noqa: F401: that it is there

# Ends when it is told to, so that nobody waits for it.
LOOP = "trap exit TERM; while :; do sleep 1 & wait; done"
url, token = os.environ["TEPUI_URL"], os.environ["TEPUI_TOKEN"]
client = MarathonClient(url, auth_token=token)
called = set()
WAIT_S = 60


def call(name, *args, **kwargs):
    """A call by its name; noted, so that the end can say which were left out."""
    called.add(name)
    return getattr(client, name)(*args, **kwargs)


def step(text):
    print(text, flush=True)


def must(condition, text):
    if not condition:
        sys.exit(f"failed: {text}")


def wait(what, f):
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        found = f()
        if found:
            return found
        time.sleep(0.2)
    sys.exit(f"failed: waited {WAIT_S} s for: {what}")


def refused(kind, f, *args, **kwargs):
    try:
        f(*args, **kwargs)
    except kind as error:
        return error
    sys.exit(f"failed: {f.__name__} was not refused")


def settled():
    wait("no deployment", lambda: not call("list_deployments"))


def running(app, n):
    return wait(f"{n} tasks of {app}", lambda: (lambda tasks: len(tasks) == n and all(t.state == "TASK_RUNNING" for t in tasks) and tasks)(call("list_tasks", app)))


def listen(events, ready):
    """Reads events until the stream ends; the client's events carry no token, so its session does."""
    for event in call("event_stream"):
        events.append(event)
        ready.set()


def system():
    info = call("get_info")
    must(info.name == "marathon" and info.version.startswith("1.11"), f"info: {info}")
    must(":" in call("get_leader")["leader"], "a leader is an address")
    must(call("ping") == b'"pong"', "a caller of JSON is answered in JSON")
    must("gauges" in call("get_metrics"), "metrics")
    must(call("list_groups") == [], "a fresh cluster has no groups")
    step("info, leader, ping, metrics")


def apps():
    web = MarathonApp(cmd=LOOP, cpus=0.01, mem=16, instances=2, labels={"tier": "front"},
                      constraints=[MarathonConstraint("hostname", "LIKE", ".*")],
                      upgrade_strategy=MarathonUpgradeStrategy(minimum_health_capacity=0.5, maximum_over_capacity=0.5),
                      health_checks=[MarathonHealthCheck(protocol="COMMAND", command={"value": "true"}, interval_seconds=1, grace_period_seconds=5, delay_seconds=0)])
    made = call("create_app", "/py/web", web)
    must(made and made.id == "/py/web" and made.instances == 2, f"made: {made}")
    refused(MarathonHttpError, call, "create_app", "/py/web", web)
    tasks = running("/py/web", 2)
    settled()
    must(tasks[0].host and tasks[0].slave_id and tasks[0].started_at, f"task: {tasks[0].to_json()}")
    wait("health", lambda: call("get_app", "/py/web").tasks_healthy == 2)
    everything = dict(embed_tasks=True, embed_counts=True, embed_deployments=True, embed_readiness=True,
                      embed_last_task_failure=True, embed_failures=True, embed_task_stats=True)
    must([app.id for app in call("list_apps", app_id="py/web", **everything)] == ["/py/web"], "by id")
    must([app.id for app in call("list_apps", label="tier==front", cmd="sleep 1")] == ["/py/web"], "by label and command")
    found = call("get_app", "/py/web", **everything)
    must(found.tasks_running == 2 and len(found.tasks) == 2, f"counts: {found.to_json()}")
    first = found.version
    call("scale_app", "/py/web", delta=1)
    running("/py/web", 3)
    settled()
    call("scale_app", "/py/web", instances=2)
    running("/py/web", 2)
    settled()
    call("update_app", "/py/web", MarathonApp(env={"COLOUR": "green"}))
    settled()
    must(call("get_app", "/py/web").env == {"COLOUR": "green"}, "the environment was changed")
    versions = call("list_versions", "/py/web")
    must(len(versions) >= 3, f"versions: {versions}")
    must(call("get_version", "/py/web", versions[-1]).id == "/py/web", "an old version")
    call("rollback_app", "/py/web", first)
    settled()
    must(not call("get_app", "/py/web").env, "the environment is as it was")
    before = {task.id for task in running("/py/web", 2)}
    call("restart_app", "/py/web")
    settled()
    must(before.isdisjoint(task.id for task in running("/py/web", 2)), "all tasks are others")
    call("update_apps", [MarathonApp(id="/py/web", instances=1), MarathonApp(id="/py/job", cmd=LOOP, cpus=0.01, mem=16)])
    settled()
    running("/py/web", 1)
    running("/py/job", 1)
    step("apps: made, refused, found, scaled, changed, rolled back, restarted, several at once")


def tasks():
    call("scale_app", "/py/web", instances=3)
    all_of_them = running("/py/web", 3)
    settled()
    killed = call("kill_task", "/py/web", all_of_them[0].id)
    must(killed.id == all_of_them[0].id, "the task that is killed is told")
    wait("another task", lambda: all_of_them[0].id not in {t.id for t in running("/py/web", 3)})
    one = running("/py/web", 3)[0]
    must(call("kill_given_tasks", [one.id]), "given tasks")
    wait("another task", lambda: one.id not in {t.id for t in running("/py/web", 3)})
    must(call("kill_task", "/py/web", running("/py/web", 3)[0].id, scale=True)["deploymentId"], "a scaling is a deployment")
    settled()
    running("/py/web", 2)
    must(len(call("kill_tasks", "/py/web", host=all_of_them[0].host)) == 2, "all tasks of a host")
    wait("two tasks", lambda: len(running("/py/web", 2)) == 2)
    points = [point for point in call("list_endpoints") if point.app_id == "/py/web"]
    must(len(points) == 2 and all(point.task_port > 0 and point.host for point in points), f"endpoints: {points}")
    must(len(call("list_tasks")) >= 3, "all tasks")
    step("tasks: killed alone, by list, with scaling, by host")


def queue():
    call("create_app", "/py/huge", MarathonApp(cmd=LOOP, cpus=9999, mem=16))
    # Since 1.9 an item has `role`, which this client does not know: its own fault against the original too.
    error = refused(TypeError, lambda: wait("the queue", lambda: call("list_queue", embed_last_unused_offers=True)))
    must("role" in str(error), f"the client knows all but role: {error}")
    waiting = wait("a deployment", lambda: call("list_deployments"))
    must(waiting[0].affected_apps == ["/py/huge"], f"deployment: {waiting[0].to_json()}")
    refused(ConflictError, call, "update_app", "/py/huge", MarathonApp(cpus=8888))
    call("reset_delay", "/py/huge")
    call("delete_deployment", waiting[0].id)
    settled()
    refused(NotFoundError, call, "get_app", "/py/huge")
    call("create_app", "/py/huge", MarathonApp(cmd=LOOP, cpus=9999, mem=16))
    waiting = wait("a deployment", lambda: call("list_deployments"))
    call("delete_deployment", waiting[0].id, force=True)
    settled()
    call("delete_app", "/py/huge", force=True)
    settled()
    step("queue and deployments: waiting, locked, taken back, stopped")


def groups():
    part = lambda name: MarathonApp(id=name, cmd=LOOP, cpus=0.01, mem=16)  # noqa: E731
    call("create_group", MarathonGroup(id="/pygroup", apps=[part("/pygroup/a")], groups=[MarathonGroup(id="/pygroup/in", apps=[part("/pygroup/in/b")])]))
    settled()
    # Since 1.9 a group below the root says whether it enforces its role, which this client does not know.
    for told in (lambda: call("list_groups"), lambda: call("get_group", "/pygroup")):
        error = refused(TypeError, told)
        must("enforce_role" in str(error), f"the client knows all but enforceRole: {error}")
    found = call("get_group", "/pygroup/in")
    must([app.id for app in found.apps] == ["/pygroup/in/b"], "what is in the group")
    first = found.version
    call("scale_group", "/pygroup", 2)
    settled()
    running("/pygroup/a", 2)
    call("update_group", "/pygroup", MarathonGroup(apps=[part("/pygroup/a"), part("/pygroup/c")]))
    settled()
    running("/pygroup/c", 1)
    # The client puts below `versions`, which the original took away in 0.8: an id of a group that cannot be.
    refused(MarathonHttpError, call, "rollback_group", "/pygroup", first)
    call("delete_group", "/pygroup", force=True)
    settled()
    refused(NotFoundError, call, "get_group", "/pygroup")
    step("groups: made, scaled, changed, removed")


def gone():
    """What the original itself took away in 1.5 is not found."""
    refused(NotFoundError, call, "list_event_subscriptions")
    refused(MarathonHttpError, call, "create_event_subscription", "http://127.0.0.1:9/")
    refused(MarathonHttpError, call, "delete_event_subscription", "http://127.0.0.1:9/")
    step("event subscriptions: gone, as in the original since 1.5")


def leader():
    must(call("delete_leader")["message"] == "Leadership abdicated", "a leader gives way when asked")
    wait("a leader", lambda: call("get_leader")["leader"])
    wait("changes", lambda: call("list_apps"))
    step("leader: gives way, and there is one again")


def main():
    events, ready = [], threading.Event()
    client.sse_session.headers["Authorization"] = f"token={token}"
    threading.Thread(target=listen, args=(events, ready), daemon=True).start()
    must(ready.wait(10), "the stream of events begins")
    for part in (system, apps, tasks, queue, groups, gone):
        part()
    names = {type(event).__name__ for event in events}
    wanted = {"MarathonEventStreamAttached", "MarathonApiPostEvent", "MarathonDeploymentInfo", "MarathonDeploymentStepSuccess",
              "MarathonDeploymentSuccess", "MarathonDeploymentFailed", "MarathonStatusUpdateEvent", "MarathonGroupChangeSuccess",
              "MarathonAppTerminatedEvent", "MarathonHealthStatusChangedEvent", "MarathonInstanceChangedEvent"}
    must(wanted <= names, f"events that did not come: {sorted(wanted - names)}; came: {sorted(names)}")
    step(f"events: {len(events)} of {len(names)} types, all read by the client")
    leader()
    call("delete_app", "/py/web", force=True)
    call("delete_app", "/py/job", force=True)
    settled()
    every = {name for name in dir(MarathonClient) if not name.startswith("_")}
    must(called == every, f"not called: {sorted(every - called)}")
    step(f"all {len(every)} calls")


main()
