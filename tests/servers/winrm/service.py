"""The WS-Management service of a node: from a request envelope to an answer envelope."""

from collections.abc import Callable

from . import methods, names, registry, wql
from .cim import Instance, matches_selector, render_epr, render_fragment, render_instance
from .classes import CimClass
from .config import Config
from .enumeration import Enumerations, filter_of, is_enumerate_body, mode_of
from .faults import Code, Fault, Shape
from .log import RequestLog
from .ping import ping
from .programs import Interpreter
from .scenario import Scenario
from .shell import ShellHost
from .soap import Request, envelope

_SHELL_OPERATIONS = {"Create", "Command", "Send", "Receive", "Signal", "Delete"}


class Service:
    """All operations of one node; stateless but for enumerations and shells."""

    def __init__(self, scenario: Scenario, log: RequestLog, interpreter: Interpreter, shells: ShellHost) -> None:
        self._scenario = scenario
        self._config: Config = scenario.config
        self._log = log
        self._interpreter = interpreter
        self._shells = shells
        self._enumerations = Enumerations(log, self._config.number("Service", "MaxConcurrentOperationsPerUser"))

    def answer(self, request: Request, user: str, client: str, *, hangs: bool = False, cut: bool = False) -> str:
        """The answer envelope; Fault when the operation fails."""
        operation = request.operation
        if operation in {"Enumerate", "Pull", "Release"} and not is_enumerate_body(request):
            raise Fault(Code.SCHEMA, "w:SchemaValidationError", "The body does not belong to the operation.")
        if request.resource.lower() == names.SHELL_CMD.lower() and operation in _SHELL_OPERATIONS:
            return self._shell(request, user, client, hangs=hangs, cut=cut)
        if operation in {"Pull", "Release"}:
            return self._continue(request, user)
        handlers: dict[str, Callable[[Request, str], str]] = {
            "Enumerate": self._enumerate,
            "Get": self._get,
            "Invoke": self._invoke,
        }
        handler = handlers.get(operation)
        if handler is None:
            self._log.forbid(f"{operation} {request.action} {request.resource}")
            raise Fault(Code.BAD_ACTION, "a:ActionNotSupported", "The action is not supported for the resource.")
        return handler(request, user)

    def limit(self, request: Request) -> int:
        """The largest answer: what the client allows, capped by the node."""
        own = self._config.number("MaxEnvelopeSizekb") * 1024
        return min(request.max_envelope or own, own)

    def _seconds(self) -> float:
        return self._config.number("MaxTimeoutms") / 1000

    # Enumerations

    def _enumerate(self, request: Request, user: str) -> str:
        if request.selectors:
            raise Fault(
                Code.SELECTORS_IN_ENUMERATE, "w:InvalidSelectors", "An Enumerate has no selectors.",
                detail="UnexpectedSelectors",
            )  # fmt: skip
        if request.resource.lower() == f"{names.CONFIG}/listener":
            self._administrators_only(user)
            if filter_of(request) is not None:
                raise Fault(Code.FILTERING_NOT_SUPPORTED, "n:FilteringNotSupported", "The resource takes no filter.")
            items = self._config.render_listeners()
        else:
            items = self._wmi_items(request)
        self._enumerations.check_quota(user)
        body = self._enumerations.start(request, user, items, self.limit(request))
        return envelope("n", names.ENUMERATE_ACTION + "Response", body, request.message_id)

    def _continue(self, request: Request, user: str) -> str:
        if request.operation == "Release":
            self._enumerations.release(request)
            return envelope("n", names.RELEASE_ACTION + "Response", "", request.message_id)
        body = self._enumerations.pull(request, user, self.limit(request))
        return envelope("n", names.PULL_ACTION + "Response", body, request.message_id)

    def _wmi_items(self, request: Request) -> list[str]:
        namespace, class_name = _wmi_path(request)
        query_filter, mode = filter_of(request), mode_of(request)
        if (class_name == "*") != (query_filter is not None):
            raise _wildcard_fault()
        if query_filter is None:
            cls = self._class(namespace, class_name, f"select * from {class_name}", filtered=False)
            return [_item(instance, None, mode) for instance in self._all(cls, None)]
        dialect, text = query_filter
        if dialect != names.WQL_DIALECT:
            raise Fault(
                Code.CANNOT_PROCESS_FILTER, "n:FilterDialectRequestedUnavailable", "The filter dialect is unknown."
            )
        try:
            query = wql.parse(text)
            cls = self._class(namespace, query.class_name, text, filtered=True)
            wql.check(query, cls)
            instances = self._all(cls, query)
        except wql.InvalidQueryError:
            raise self._wmi_fault(text, "The query is not valid.", namespace, filtered=True) from None
        if query.columns is not None and mode:
            raise self._wmi_fault(text, "A list of properties has no references.", namespace, filtered=True)
        return [_item(instance, query.columns, mode) for instance in instances]

    def _all(self, cls: CimClass, query: wql.Query | None) -> list[Instance]:
        if cls.name == "Win32_PingStatus":
            return ping(cls, query or wql.Query(None, cls.name, None), self._scenario.ping)
        condition = query.where if query is not None else None
        return [instance for instance in self._scenario.cim.instances(cls) if wql.matches(condition, instance)]

    # Single objects

    def _get(self, request: Request, user: str) -> str:
        if request.resource.lower().startswith(names.CONFIG):
            self._administrators_only(user)
            rendered = self._config.render(request.resource)
            if rendered is None:
                raise _resource_fault()
            return envelope("x", names.GET_ACTION + "Response", rendered, request.message_id)
        namespace, class_name = _wmi_path(request)
        if class_name == "*":
            raise _wildcard_fault()
        cls = self._class(namespace, class_name, class_name, filtered=False)
        body = render_instance(self._single(cls, request))
        return envelope("x", names.GET_ACTION + "Response", body, request.message_id)

    def _single(self, cls: CimClass, request: Request) -> Instance:
        keys = {prop.name.lower() for prop in cls.keys}
        given = {selector.name.lower(): selector.text for selector in request.selectors}
        if not given.keys() <= keys:
            raise Fault(
                Code.INVALID_SELECTORS, "w:InvalidSelectors", "The selectors are no keys of the class.",
                detail="UnexpectedSelectors",
            )  # fmt: skip
        if not cls.is_singleton and (not keys or given.keys() != keys):
            raise Fault(
                Code.KEYS_MISSING, "w:InvalidSelectors", "The class is no singleton: all its keys are needed.",
                detail="InsufficientSelectors",
            )  # fmt: skip
        for instance in self._scenario.cim.instances(cls):
            if all(matches_selector(instance.values.get(name), text) for name, text in given.items()):
                return instance
        raise Fault(
            Code.NOT_FOUND,
            "a:DestinationUnreachable",
            "The resource of the URI and the selectors was not found.",
            shape=self._scenario.fault_shape,
            detail="InvalidResourceURI",
            operation="GetObject",
            parameter=cls.name,
        )

    # Methods

    def _invoke(self, request: Request, user: str) -> str:
        namespace, class_name = _wmi_path(request)
        if user.lower() in self._scenario.read_only:
            raise _access_denied()
        cls = self._class(namespace, class_name, class_name, filtered=False)
        call = next((call for call in self._scenario.calls if call.fits(request)), None)
        if call is not None and request.method.lower() in methods.READING:
            return envelope("x", request.action + "Response", call.render(request), request.message_id)
        reading = {name.lower() for name in registry.READING_METHODS}
        if class_name.lower() != "stdregprov" or request.method.lower() not in reading:
            self._log.forbid(f"Invoke {cls.uri}.{request.method}")
            raise Fault(Code.BAD_ACTION, "a:ActionNotSupported", "The action is not supported for the resource.")
        body = registry.invoke(self._scenario.registry, request, request.resource, self._interpreter.expand)
        return envelope("x", request.action + "Response", body, request.message_id)

    # Shells

    def _shell(self, request: Request, user: str, client: str, *, hangs: bool, cut: bool) -> str:
        operation = request.operation
        if operation == "Delete":
            self._shells.delete(request)
            return envelope("rsp", names.DELETE_ACTION + "Response", "", request.message_id)
        if user.lower() in self._scenario.read_only:
            raise _access_denied()
        if operation == "Create":
            body = self._shells.create(request, user, client)
        elif operation == "Command":
            body = self._shells.start_command(request, hangs=hangs, cut=cut)
        elif operation == "Send":
            body = self._shells.send(request)
        elif operation == "Receive":
            body = self._shells.receive(request, self.limit(request), self._seconds())
        else:
            body = self._shells.signal(request)
        return envelope("rsp", request.action + "Response", body, request.message_id)

    # Shared

    def _class(self, namespace: str, class_name: str, text: str, *, filtered: bool) -> CimClass:
        cls = self._scenario.cim.find(namespace, class_name)
        if cls is not None:
            return cls
        if not self._scenario.cim.has_namespace(namespace):
            raise self._wmi_fault(text, f"The CIM namespace {namespace} is invalid.", namespace, filtered=filtered)
        raise self._wmi_fault(
            text, "The specified class does not exist in the namespace.", namespace, filtered=filtered
        )

    def _wmi_fault(self, text: str, reason: str, namespace: str, *, filtered: bool) -> Fault:
        """The one fault for a missing class, a missing namespace and a refused query."""
        return Fault(
            Code.CANNOT_PROCESS_FILTER,
            "n:CannotProcessFilter" if filtered else "a:DestinationUnreachable",
            "The data source could not process the request.",
            shape=self._scenario.fault_shape,
            inner_text=reason,
            operation="ExecQuery" if filtered else "GetClass",
            parameter=text,
            error_namespace=f"{names.WMI}{namespace.lower()}/MSFT_WmiError",
        )

    def _administrators_only(self, user: str) -> None:
        if user.lower() in self._scenario.non_administrators | self._scenario.read_only:
            raise _access_denied()


def _wmi_path(request: Request) -> tuple[str, str]:
    """Namespace and class of a WMI resource URI."""
    if not request.resource.lower().startswith(names.WMI):
        raise _resource_fault()
    namespace, _, class_name = request.resource[len(names.WMI) :].rpartition("/")
    if not namespace or not class_name:
        raise _resource_fault()
    return namespace, class_name


def _item(instance: Instance, columns: tuple[str, ...] | None, mode: str) -> str:
    if columns is not None:
        return render_fragment(instance, columns)
    if mode == "EnumerateEPR":
        return render_epr(instance)
    if mode == "EnumerateObjectAndEPR":
        return f"<w:Item>{render_instance(instance)}{render_epr(instance)}</w:Item>"
    return render_instance(instance)


def _wildcard_fault() -> Fault:
    return Fault(
        Code.WQL_NEEDS_WILDCARD,
        "a:DestinationUnreachable",
        "A URI that ends with * goes with a WQL filter, and a WQL filter with such a URI.",
        detail="InvalidResourceURI",
    )


def _resource_fault() -> Fault:
    return Fault(
        Code.BAD_RESOURCE_URI,
        "a:DestinationUnreachable",
        "The resource URI is not known.",
        detail="InvalidResourceURI",
    )


def _access_denied() -> Fault:
    return Fault(Code.ACCESS_DENIED, "w:AccessDenied", "Access is denied.", shape=Shape.PLAIN)
