"""The connection to a Ray cluster: its address, its authentication, its nodes and CPUs. Ray itself
is imported here alone, when it is needed.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Final, Literal

from sparring.errors import ConfigurationError
from sparring.runtime.worker import STOP_SIGNALS, stop_signals_blocked

_ANSWERS_WITHIN: Final = 10.0  # seconds
_START_WAIT: Final = "120"  # seconds for the start of a local cluster; Ray's own 30 are few
_QUESTION: Final = "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo"
_INSECURE: Final = "--ray-insecure, where nobody else can reach it"
_TOKENS: Final = "RAY_AUTH_MODE=token and the same RAY_AUTH_TOKEN_PATH on all nodes"


def load_ray() -> Any:
    """Import Ray. Raises `ConfigurationError` where it is not installed."""
    try:
        return importlib.import_module("ray")
    except ModuleNotFoundError:
        raise ConfigurationError(
            'backend="ray": Ray is not installed', remedy="pip install 'sparring[ray]'"
        ) from None


class RayCluster:
    """A connection from `open` to `close`. One that the program has made itself before is used as
    it is, and stays.
    """

    def __init__(self, address: str, *, insecure: bool) -> None:
        self._address = address
        self._insecure = insecure
        self._ours = False
        self.ray: Any = None

    def open(self) -> None:
        """Connect. Raises `ConfigurationError` where that fails, and where the cluster takes
        commands from everybody.
        """
        self.ray = load_ray()
        if not self.ray.is_initialized():
            with _handlers_kept(), _signals_kept_from(self._address):
                self._connect()
            self._ours = True
        try:
            self._check_authentication(self.address)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._ours:
            with _handlers_kept():
                self.ray.shutdown()
            self._ours = False

    def _connect(self) -> None:
        address = self._address
        found = os.environ.get("RAY_ADDRESS", address) if address == "auto" else address
        if ":" in found and "://" not in found:
            _check_answers(found)
            self._check_authentication(found)
            if os.environ.get("RAY_AUTH_MODE") != "token" and not self._insecure:
                raise ConfigurationError(
                    f"the Ray cluster at {found} asks for a token",
                    got="no RAY_AUTH_MODE",
                    expected=f"{_TOKENS}, and here",
                )
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if address == "local":
            os.environ.setdefault("RAY_raylet_start_wait_time_s", _START_WAIT)
            options["include_dashboard"] = False
        try:
            self.ray.init(address=address, **options)
        except self.ray.exceptions.AuthenticationError as error:
            raise ConfigurationError(
                f"the Ray cluster at {found} does not accept this process's token",
                got=_first_line(error),
                remedy=f"set {_TOKENS}, and here",
            ) from error
        except ConnectionError as error:
            raise ConfigurationError(
                f"no Ray cluster at the address {address}",
                got=_first_line(error),
                remedy="start one with: ray start --head; or use --ray-address local",
            ) from error
        except Exception as error:  # Ray raises whatever its parts raise
            raise ConfigurationError(
                f"cannot connect to the Ray cluster at {found}", got=_first_line(error)
            ) from error

    def _check_authentication(self, address: str) -> None:
        """Ask the cluster something without a token: one with authentication refuses to answer."""
        if self._insecure or _asked_without_token(address) == "refuses":
            return
        raise ConfigurationError(
            f"the Ray cluster at {address} runs whatever anybody sends it",
            got="no token authentication",
            expected=_TOKENS,
            remedy=f"start it again so (docs/cluster.md), or use {_INSECURE}",
        )

    @property
    def address(self) -> str:
        """Host and port."""
        return str(self.ray.get_runtime_context().gcs_address)

    def cpus(self) -> int:
        """The number of CPUs of all nodes that are there now."""
        return int(self.ray.cluster_resources().get("CPU", 0))

    def nodes(self) -> Mapping[str, float]:
        """CPUs by node, of those that are there and have any."""
        return {
            node["NodeID"]: node["Resources"]["CPU"]
            for node in self.ray.nodes()
            if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
        }


def _check_answers(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWERS_WITHIN).close()
    except (OSError, ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"no Ray cluster answers at {address}",
            got=_first_line(error),
            expected="host and port of `ray start --head`",
        ) from error


def _asked_without_token(address: str) -> Literal["answers", "refuses"]:
    """The cluster's answer to a question that anybody could send."""
    grpc: Any = importlib.import_module("grpc")  # which tensorboard needs, too
    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary(_QUESTION, request_serializer=None, response_deserializer=None)
        try:
            ask(b"", timeout=_ANSWERS_WITHIN)
        except grpc.RpcError as error:
            refused = error.code() == grpc.StatusCode.UNAUTHENTICATED
            return "refuses" if refused else "answers"
    return "answers"


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """Ray installs handlers of signals; the run has its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in set(STOP_SIGNALS)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _signals_kept_from(address: str) -> Any:
    """Ctrl-C and batch systems signal the whole process group, which a local cluster is part of: it
    has to live until the run is saved.
    """
    return stop_signals_blocked() if address == "local" else nullcontext()


def _first_line(error: BaseException) -> str:
    [line, *_] = str(error).strip().splitlines() or [type(error).__name__]
    return f"{line:.200}"
