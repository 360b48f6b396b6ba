"""The part of a pod's manifest that the local node reads; whatever is not named here it ignores."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

__all__ = [
    "ConfigMapProjection",
    "Container",
    "DownwardItem",
    "EnvFrom",
    "EnvVar",
    "Handler",
    "KeyToPath",
    "Pod",
    "Probe",
    "TokenProjection",
    "Volume",
    "VolumeMount",
]


class Manifest(BaseModel):
    """Kubernetes JSON: camelCase outside, snake_case inside."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


class FieldRef(Manifest):
    """A field of the pod itself, such as `metadata.name` or `metadata.labels['app']`."""

    field_path: str


class KeyRef(Manifest):
    """One key of a ConfigMap or Secret."""

    name: str
    key: str
    optional: bool = False


class ObjectRef(Manifest):
    """A whole ConfigMap or Secret."""

    name: str
    optional: bool = False


class EnvSource(Manifest):
    """Where an environment variable's value comes from; exactly one is set."""

    field_ref: FieldRef | None = None
    config_map_key_ref: KeyRef | None = None
    secret_key_ref: KeyRef | None = None
    resource_field_ref: dict[str, str] | None = None


class EnvVar(Manifest):
    """One environment variable."""

    name: str
    value: str = ""
    value_from: EnvSource | None = None


class EnvFrom(Manifest):
    """Every key of an object as environment variables."""

    prefix: str = ""
    config_map_ref: ObjectRef | None = None
    secret_ref: ObjectRef | None = None


class HTTPGet(Manifest):
    """An HTTP GET that has to answer 200 to 399."""

    port: int | str
    path: str = "/"
    host: str = ""
    http_headers: tuple[dict[str, str], ...] = ()
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"


class Exec(Manifest):
    """A command that has to exit 0."""

    command: tuple[str, ...] = ()


class TCPSocket(Manifest):
    """A TCP connection that has to open."""

    port: int | str
    host: str = ""


class Sleep(Manifest):
    """A pause before a container is stopped."""

    seconds: int


class Handler(Manifest):
    """One way to ask or tell a container something."""

    http_get: HTTPGet | None = None
    exec_: Exec | None = Field(default=None, alias="exec")
    tcp_socket: TCPSocket | None = None
    sleep: Sleep | None = None
    grpc: dict[str, int | str | None] | None = None


class Probe(Handler):
    """A handler asked again and again; times in seconds."""

    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


class Lifecycle(Manifest):
    """What happens around a container's life; the local node knows `preStop`."""

    pre_stop: Handler | None = None
    post_start: Handler | None = None


class VolumeMount(Manifest):
    """Where a container sees a volume."""

    name: str
    mount_path: str
    sub_path: str = ""


class ContainerPort(Manifest):
    """A port, so that probes and Services can use its name."""

    container_port: int
    name: str = ""


class Container(Manifest):
    """One container of a pod."""

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[EnvFrom, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = ()
    startup_probe: Probe | None = None
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    lifecycle: Lifecycle = Lifecycle()
    restart_policy: str | None = None

    def port(self, wanted: int | str) -> int:
        """A port by number or by name. Raises `ValueError` when no port has that name."""
        if isinstance(wanted, int) or wanted.isdecimal():
            return int(wanted)
        for port in self.ports:
            if port.name == wanted:
                return port.container_port
        raise ValueError(f"container {self.name}: no port is named {wanted!r}; name it under ports")


class KeyToPath(Manifest):
    """A key and the file it becomes."""

    key: str
    path: str
    mode: int | None = None


class ConfigMapProjection(Manifest):
    """A ConfigMap as files; `items` picks keys, else every key is a file."""

    name: str
    optional: bool = False
    items: tuple[KeyToPath, ...] | None = None


class ConfigMapVolume(ConfigMapProjection):
    """A ConfigMap volume."""

    default_mode: int = 0o644


class DownwardItem(Manifest):
    """A field of the pod as a file."""

    path: str
    field_ref: FieldRef | None = None
    mode: int | None = None


class DownwardProjection(Manifest):
    """Fields of the pod as files."""

    items: tuple[DownwardItem, ...] = ()


class DownwardVolume(DownwardProjection):
    """A downward API volume."""

    default_mode: int = 0o644


class TokenProjection(Manifest):
    """A service account token as a file, good for `expirationSeconds`."""

    path: str
    audience: str = ""
    expiration_seconds: int = 3600


class VolumeSource(Manifest):
    """One source of a projected volume; exactly one is set."""

    config_map: ConfigMapProjection | None = None
    downward_api: DownwardProjection | None = Field(default=None, alias="downwardAPI")
    service_account_token: TokenProjection | None = None


class ProjectedVolume(Manifest):
    """Several sources in one folder."""

    default_mode: int = 0o644
    sources: tuple[VolumeSource, ...] = ()


class Volume(Manifest):
    """One volume of a pod; exactly one source is set."""

    name: str
    config_map: ConfigMapVolume | None = None
    downward_api: DownwardVolume | None = Field(default=None, alias="downwardAPI")
    projected: ProjectedVolume | None = None
    empty_dir: dict[str, object] | None = None


class PodSpec(Manifest):
    """What a pod is to run."""

    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    node_name: str = ""
    restart_policy: Literal["Always", "OnFailure", "Never"] = "Always"
    service_account_name: str = "default"
    termination_grace_period_seconds: int = 30
    host_network: bool = False


class PodMetadata(Manifest):
    """Who a pod is."""

    name: str
    namespace: str
    uid: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int | None = None


class PodPhase(Manifest):
    """How far the API thinks a pod is."""

    phase: str = "Pending"


class Pod(Manifest):
    """A pod as the API shows it."""

    metadata: PodMetadata
    spec: PodSpec
    status: PodPhase = PodPhase()

    @property
    def key(self) -> str:
        """`namespace/name`, for messages."""
        return f"{self.metadata.namespace}/{self.metadata.name}"
