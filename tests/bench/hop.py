#!/usr/bin/env python3
"""What one proxy hop costs: CPU time per request, memory and latency, Orrery beside Envoy in the same rounds.

    tests/bench/hop.py [--rounds 5] [--seconds 4] [--scenarios plain,mesh,mtls] [--orrery PATH] [--envoy PATH]

Needs nginx, wrk, openssl and taskset; Envoy is the one that tests/run installs. The proxy is pinned to one core and the load
and the upstream to another. CPU time is the proxy's own, from /proc, divided by the requests that wrk counted; the
subjects take turns, and medians are printed with the ratio to Envoy. Never compare figures of two different runs.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROXY_CORE, LOAD_CORE = "1", "0"
CONNECTIONS = 64
HEADERS = {
    "plain": [],
    "mtls": [],
    "mesh": ["user-agent: bench/1.0", "accept: */*", "accept-language: en", "x-tenant: blue", "cookie: session=0123456789abcdef"],
}
TYPE = "type.googleapis.com/envoy."


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="hop-bench-") as work:
        work = pathlib.Path(work)
        certificates(work)
        upstream = Upstream(work)
        try:
            for scenario in options.scenarios.split(","):
                measure(scenario, options, work, upstream)
        finally:
            upstream.stop()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--scenarios", default="plain,mesh,mtls")
    parser.add_argument("--orrery", default=str(ROOT / "target/release/orrery"))
    parser.add_argument("--envoy", default=str(ROOT / "target/tools/envoy"))
    options = parser.parse_args()
    for program in (options.orrery, options.envoy, "nginx", "wrk", "openssl", "taskset"):
        if not shutil.which(program):
            parser.error(f"{program} is missing (cargo build --release; tests/run; apt-get install nginx-light wrk)")
    return options


def measure(scenario, options, work, upstream):
    subjects = {"envoy": Envoy(options.envoy, scenario, work, upstream), "orrery": Orrery(options.orrery, scenario, work, upstream)}
    results = {name: [] for name in subjects}
    try:
        for subject in subjects.values():
            subject.await_open()
            subject.load(1)
        for _ in range(options.rounds):
            for name, subject in subjects.items():
                results[name].append(subject.load(options.seconds))
    finally:
        for subject in subjects.values():
            subject.stop()
    report(scenario, results)


def report(scenario, results):
    print(f"\n{scenario:8} {'CPU us/request':>16} {'of Envoy':>9} {'RSS MB':>8} {'p99 ms':>8} {'requests/s':>11}")
    for name, rounds in results.items():
        ratio = statistics.median(mine["cpu"] / theirs["cpu"] for mine, theirs in zip(rounds, results["envoy"]))
        median = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        print(f"{name:8} {median['cpu']:16.1f} {ratio:9.2f} {median['rss']:8.1f} {median['p99']:8.2f} {median['rate']:11.0f}")


class Process:
    """A program with its own port, ended by its id."""

    def __init__(self, command, core, log):
        self.output = open(log, "wb")
        self.process = subprocess.Popen(["taskset", "-c", core, *command], stdout=self.output, stderr=self.output, stdin=subprocess.DEVNULL)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()


class Upstream(Process):
    """nginx with a 1 KiB answer."""

    def __init__(self, work):
        self.port = free_port()
        config = work / "nginx.conf"
        config.write_text(
            f"daemon off; master_process off; worker_processes 1; pid {work}/nginx.pid; error_log stderr;\n"
            f"events {{ worker_connections 4096; }}\n"
            f"http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {work}; proxy_temp_path {work};\n"
            f"  fastcgi_temp_path {work}; uwsgi_temp_path {work}; scgi_temp_path {work};\n"
            f"  server {{ listen 127.0.0.1:{self.port}; location / {{ return 200 '{'x' * 1024}'; }} }} }}\n"
        )
        super().__init__([shutil.which("nginx"), "-c", str(config), "-p", str(work)], LOAD_CORE, work / "nginx.log")
        await_port(self.port, work / "nginx.log")


class Subject:
    """One proxy, or two of them with mutual TLS between."""

    def __init__(self, name, scenario, work, upstream):
        self.name, self.scenario, self.work = name, scenario, work
        self.front = free_port()
        if scenario == "mtls":
            middle = free_port()
            hops = [(self.front, f"127.0.0.1:{middle}", "client"), (middle, f"127.0.0.1:{upstream.port}", "server")]
        else:
            hops = [(self.front, f"127.0.0.1:{upstream.port}", "single")]
        self.ports = [port for port, _, _ in hops]
        self.processes = [
            Process(self.command(port, target, role), PROXY_CORE, self.log(port)) for port, target, role in hops
        ]

    def log(self, port):
        return self.work / f"{self.name}-{port}.log"

    def await_open(self):
        for port in self.ports:
            await_port(port, self.log(port))

    def stop(self):
        for process in self.processes:
            process.stop()

    def load(self, seconds):
        before = self.cpu_nanoseconds()
        headers = [part for header in HEADERS[self.scenario] for part in ("-H", header)]
        command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", *headers]
        output = subprocess.run([*command, f"http://127.0.0.1:{self.front}/"], capture_output=True, text=True, check=True).stdout
        spent = self.cpu_nanoseconds() - before
        requests = int(re.search(r"(\d+) requests in", output).group(1))
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors", output)
        if bad or requests == 0:
            raise SystemExit(f"{self.name}: the load met errors:\n{output}")
        return {
            "cpu": spent / 1000 / requests,
            "rss": sum(resident_megabytes(p.process.pid) for p in self.processes),
            "p99": milliseconds(re.search(r"99%\s+([\d.]+)(us|ms|s)", output)),
            "rate": requests / seconds,
        }

    def cpu_nanoseconds(self):
        total = 0
        for process in self.processes:
            for task in pathlib.Path(f"/proc/{process.process.pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total


class Orrery(Subject):
    def __init__(self, binary, *rest):
        self.binary = binary
        super().__init__("orrery", *rest)

    def command(self, port, target, role):
        mode = "mesh" if self.scenario == "mesh" else "http"
        command = [self.binary, "proxy", "hop", "--listen", f"127.0.0.1:{port}", "--upstream", target, "--mode", mode, "--workers", "1"]
        if role != "single":
            command += ["--certs", str(self.work), "--tls-out" if role == "client" else "--tls-in", "mutual"]
        return command


class Envoy(Subject):
    def __init__(self, binary, *rest):
        self.binary = binary
        super().__init__("envoy", *rest)

    def command(self, port, target, role):
        file = self.work / f"envoy-{port}.json"
        file.write_text(json.dumps(self.bootstrap(port, target, role)))
        return [self.binary, "-c", str(file), "--concurrency", "1", "--disable-hot-restart", "-l", "error"]

    def bootstrap(self, port, target, role):
        host, upstream_port = target.rsplit(":", 1)
        cluster = {
            "name": "upstream",
            "type": "STATIC",
            "connect_timeout": "5s",
            "circuit_breakers": {"thresholds": [{key: 100000 for key in ("max_connections", "max_pending_requests", "max_requests")}]},
            "load_assignment": {"cluster_name": "upstream", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(host, upstream_port)}}]}]},
        }
        if role == "client":
            cluster["transport_socket"] = self.tls("UpstreamTlsContext", "client", {"sni": "server.bench.test"})
        mesh = self.scenario == "mesh"
        services = [f"svc-{i}.ns.svc.cluster.local" for i in range(100)] if mesh else []
        hosts = [{"name": s, "domains": [s, f"{s}:8080"], "routes": [route(mesh)]} for s in services]
        manager = {
            "@type": TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "bench",
            "generate_request_id": mesh,
            "normalize_path": mesh,
            "route_config": {"virtual_hosts": [*hosts, {"name": "all", "domains": ["*"], "routes": [route(mesh)]}]},
            "http_filters": [{"name": "router", "typed_config": {"@type": TYPE + "extensions.filters.http.router.v3.Router"}}],
        }
        chain = {"filters": [{"name": "http", "typed_config": manager}]}
        if role == "server":
            chain["transport_socket"] = self.tls("DownstreamTlsContext", "server", {"require_client_certificate": True})
        listener = {"name": "bench", "address": address("127.0.0.1", port), "filter_chains": [chain]}
        return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}

    def tls(self, kind, who, extra):
        certificate = {"certificate_chain": {"filename": f"{self.work}/{who}.pem"}, "private_key": {"filename": f"{self.work}/{who}.key"}}
        versions = {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"}
        common = {"tls_certificates": [certificate], "tls_params": versions, "alpn_protocols": ["http/1.1"],
                  "validation_context": {"trusted_ca": {"filename": f"{self.work}/ca.pem"}}}
        return {"name": "tls", "typed_config": {"@type": TYPE + f"extensions.transport_sockets.tls.v3.{kind}", "common_tls_context": common, **extra}}


def route(mesh):
    action = {"cluster": "upstream", "timeout": "15s" if mesh else "0s"}
    if mesh:
        action["retry_policy"] = {"retry_on": "connect-failure,refused-stream", "num_retries": 2}
    return {"match": {"prefix": "/"}, "route": action}


def address(host, port):
    return {"socket_address": {"address": host, "port_value": int(port)}}


def certificates(work):
    """A root and two leaves with SPIFFE names, as a mesh has them."""

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=work, check=True, capture_output=True)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=bench root")
    for who in ("client", "server"):
        openssl("req", *curve, "-keyout", f"{who}.key", "-out", f"{who}.csr", "-subj", f"/CN={who}")
        (work / "san").write_text(f"subjectAltName=URI:spiffe://bench.test/ns/default/sa/{who},DNS:{who}.bench.test\n")
        openssl("x509", "-req", "-in", f"{who}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "san", "-out", f"{who}.pem")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def await_port(port, log):
    for _ in range(200):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}: {pathlib.Path(log).read_text()}")


def resident_megabytes(pid):
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def milliseconds(found):
    return float(found.group(1)) * {"us": 0.001, "ms": 1, "s": 1000}[found.group(2)]


if __name__ == "__main__":
    main()
