"""The local node runs pods: from binding to the end, with status in the API and nothing left on the machine."""

import os
import signal

from tests.cluster.node.pods import NODE, Pods, alive
from tests.support.waiting import eventually

WAIT = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = (
    "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
)
PID = "import os, signal; print(os.getpid(), flush=True); signal.pause()"


def first_number(pods: Pods, name: str) -> int:
    return int(eventually(lambda: pods.log(name).split(), message="a process id")[0])


def test_a_pod_is_bound_runs_and_becomes_ready_with_an_address_of_its_own(pods: Pods) -> None:
    pods.create("one", WAIT)
    pods.create("two", WAIT)

    pods.wait_ready("one")
    pods.wait_ready("two")

    one, two = pods.get("one"), pods.get("two")
    assert one["spec"]["nodeName"] == NODE
    assert one["status"]["phase"] == "Running"
    assert one["status"]["podIP"].startswith("127.0.")
    assert one["status"]["podIP"] != two["status"]["podIP"]
    assert pods.status("one")["state"]["running"]["startedAt"]


def test_a_pod_of_another_scheduler_is_left_alone(pods: Pods) -> None:
    pods.create("other", WAIT, schedulerName="somebody-else")
    pods.create("ours", WAIT)

    pods.wait_ready("ours")

    assert "nodeName" not in pods.get("other")["spec"]


def test_a_program_knows_who_it_is(pods: Pods) -> None:
    fields = {
        "NAME": "metadata.name",
        "SPACE": "metadata.namespace",
        "APP": "metadata.labels['app']",
        "IP": "status.podIP",
    }
    env = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]
    program = "import os, sys; print(*(os.environ[n] for n in ('NAME', 'SPACE', 'APP', 'IP', 'HOSTNAME')), *sys.argv[1:])"
    container = {"command": ["python", "-c", program], "args": ["$(NAME)-$(APP)"], "env": env}

    pods.create("who", labels={"app": "shop"}, restartPolicy="Never", container=container)

    pods.wait_phase("who", "Succeeded")
    ip = pods.get("who")["status"]["podIP"]
    assert pods.log("who").split() == ["who", pods.namespace, "shop", ip, "who", "who-shop"]


def test_nothing_of_the_nodes_own_environment_reaches_a_pod(pods: Pods) -> None:
    os.environ["SECRET_OF_THE_TEST"] = "1"
    try:
        pods.create("clean", "import os; print(sorted(os.environ))", restartPolicy="Never")
        pods.wait_phase("clean", "Succeeded")
    finally:
        del os.environ["SECRET_OF_THE_TEST"]

    assert "SECRET_OF_THE_TEST" not in pods.log("clean")
    assert "SWITCHGEAR_NODE_POD_IP" in pods.log("clean")


def test_a_finished_pod_succeeds_or_fails_by_its_exit_code(pods: Pods) -> None:
    pods.create("good", "pass", restartPolicy="Never")
    pods.create("bad", "raise SystemExit(3)", restartPolicy="Never")

    pods.wait_phase("good", "Succeeded")
    pods.wait_phase("bad", "Failed")

    assert pods.status("bad")["state"]["terminated"]["exitCode"] == 3


def test_a_failed_container_is_restarted_until_it_succeeds(pods: Pods) -> None:
    program = "import os, sys; p = os.environ['HOME'] + '/n'; open(p, 'a').write('x'); sys.exit(len(open(p).read()) < 3)"

    pods.create("retry", program, restartPolicy="OnFailure")

    pods.wait_phase("retry", "Succeeded")
    status = pods.status("retry")
    assert status["restartCount"] == 2
    assert status["lastState"]["terminated"]["exitCode"] == 1


def test_a_crash_looping_container_shows_why(pods: Pods) -> None:
    pods.create("loop", "raise SystemExit(7)")

    pods.wait("loop", lambda _: pods.status("loop")["restartCount"] >= 2)
    pods.wait(
        "loop", lambda _: pods.status("loop")["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"
    )

    assert pods.status("loop")["lastState"]["terminated"]["exitCode"] == 7


def test_a_program_that_does_not_exist_is_reported_in_the_status(pods: Pods) -> None:
    pods.create("missing", container={"command": ["no-such-program"]})

    pods.wait(
        "missing",
        lambda _: pods.status("missing")["state"].get("waiting", {}).get("reason") == "RunContainerError",
    )

    assert "cannot start no-such-program" in pods.status("missing")["state"]["waiting"]["message"]


def test_what_the_node_cannot_do_is_said_in_the_status(pods: Pods) -> None:
    env = [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]

    pods.create("secret", container={"env": env})
    pods.create("disk", volumes=[{"name": "host", "hostPath": {"path": "/"}}])

    pods.wait("secret", lambda _: "env PASSWORD: valueFrom" in str(pods.status("secret")["state"]))
    pods.wait("disk", lambda pod: "volume host: the local node knows" in pod["status"].get("message", ""))


def test_init_containers_run_one_by_one_before_the_rest(pods: Pods) -> None:
    data = [{"name": "data", "mountPath": "/data"}]
    writer = {"image": "test", "volumeMounts": data}
    init = [
        {"name": "first", "command": ["sh", "-c", "echo a >> $0", "/data/file"], **writer},
        {"name": "second", "command": ["sh", "-c", "echo b >> $0", "/data/file"], **writer},
    ]
    container = {"command": ["cat", "/data/file"], "volumeMounts": data}

    pods.create(
        "init",
        restartPolicy="Never",
        initContainers=init,
        container=container,
        volumes=[{"name": "data", "emptyDir": {}}],
    )

    pods.wait_phase("init", "Succeeded")
    assert pods.log("init") == "a\nb\n"


def test_a_failed_init_container_fails_the_pod_before_it_starts(pods: Pods) -> None:
    init = [{"name": "first", "image": "test", "command": ["false"]}]

    pods.create("init", "print('ran')", restartPolicy="Never", initContainers=init)

    pods.wait_phase("init", "Failed")
    assert pods.log("init") == ""


def test_a_deleted_pod_gets_sigterm_and_leaves_nothing(pods: Pods) -> None:
    program = "import signal; print('up', flush=True)\ntry: signal.sigwait({15}) if signal.pthread_sigmask(0, {15}) is not None else 0\nfinally: print('bye', flush=True)"
    pods.create("polite", program)
    pods.printed("polite", "up")
    folder = pods.folder("polite")

    pods.kubectl("delete", "pod", "polite", "-n", pods.namespace, "--timeout=20s")

    assert pods.log("polite") == "up\nbye\n"
    assert not folder.exists()


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace_period(pods: Pods) -> None:
    pods.create("stubborn", STUBBORN, terminationGracePeriodSeconds=1)
    pods.printed("stubborn", "up")

    pods.kubectl("delete", "pod", "stubborn", "-n", pods.namespace, "--timeout=20s")

    assert pods.gone("stubborn")


def test_the_whole_process_group_ends_with_the_container(pods: Pods) -> None:
    program = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN + '#'!r}]); " + PID
    child = program.replace("subprocess.Popen(", "print(subprocess.Popen(").replace(
        "]); ", "]).pid, flush=True); ", 1
    )
    pods.create("family", child)
    process = first_number(pods, "family")

    pods.kubectl("delete", "pod", "family", "-n", pods.namespace, "--timeout=20s")

    eventually(lambda: not alive(process), message="the end of the child process")


def test_a_pod_deleted_without_grace_is_ended_at_once(pods: Pods) -> None:
    pods.create("forced", PID)
    process = first_number(pods, "forced")

    pods.kubectl("delete", "pod", "forced", "-n", pods.namespace, "--grace-period=0", "--force")

    eventually(lambda: not alive(process), message="the end of the process")
    eventually(
        lambda: not list(pods.node.folder.glob(f"pods/{pods.namespace}_*")), message="the end of its folder"
    )


def test_a_killed_process_is_started_again(pods: Pods) -> None:
    pods.create("killed", PID)
    process = first_number(pods, "killed")

    os.kill(process, signal.SIGKILL)

    pods.wait("killed", lambda _: pods.status("killed")["restartCount"] == 1)
    pods.wait_ready("killed")
    assert pods.status("killed")["lastState"]["terminated"]["exitCode"] == 137


def test_a_deployment_is_rolled_out_with_kubectl(pods: Pods) -> None:
    labels = {"matchLabels": {"app": "web"}}
    container = {"name": "main", "image": "test", "command": ["python", "-c", WAIT]}
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"schedulerName": NODE, "containers": [container]},
    }

    pods.apply(
        "Deployment",
        "web",
        apiVersion="apps/v1",
        spec={"replicas": 2, "selector": labels, "template": template},
    )

    assert "successfully rolled out" in pods.kubectl(
        "rollout", "status", "deployment/web", "-n", pods.namespace, "--timeout=20s"
    )
