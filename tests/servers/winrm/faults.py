"""SOAP faults: the codes a node answers with and the shapes it wraps them in."""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from xml.sax.saxutils import escape, quoteattr

from . import names


class Code(IntEnum):
    """Error numbers that this endpoint raises by itself (WS-Management, then plain Windows)."""

    NOT_FOUND = 2150858752
    BAD_ACTION = 2150858753
    INVALID_HEADER = 2150858767
    HEADER_REQUIRED = 2150858769
    CANNOT_PROCESS_FILTER = 2150858778
    TIMED_OUT = 2150858793
    BAD_RESOURCE_URI = 2150858811
    SCHEMA = 2150858817
    ANSWER_TOO_LARGE = 2150858824
    FILTERING_NOT_SUPPORTED = 2150858864
    INVALID_SELECTORS = 2150858843
    ENVELOPE_TOO_SMALL = 2150858878
    INVALID_CONTEXT = 2150858884
    LOCALE_MUST_UNDERSTAND = 2150858887
    KEYS_MISSING = 2150859002
    WQL_NEEDS_WILDCARD = 2150859003
    SELECTORS_IN_ENUMERATE = 2150859016
    INVALID_METHOD_PARAMETER = 2150859038
    SHELLS_PER_USER = 2150859173
    OPERATIONS_PER_USER = 2150859174
    SHELLS_NOT_ALLOWED = 2150859180
    COMMANDS_PER_SHELL = 2150859241
    PULL_DIFFERS = 2150859181
    ACCESS_DENIED = 5
    WRONG_PARAMETER = 87
    LINE_TOO_LONG = 2147942606


class Shape(StrEnum):
    """How the error number is wrapped in the fault's detail."""

    PLAIN = "plain"
    """`f:WSManFault` with a message."""
    PROVIDER = "provider"
    """`f:WSManFault` holding `f:ProviderFault` with an inner WSManFault and an extended status."""
    WMI_ERROR = "wmi_error"
    """`p:MSFT_WmiError`."""


@dataclass(frozen=True)
class Provider:
    """The plugin that a provider fault names."""

    name: str
    path: str


WMI_PROVIDER = Provider("WMI Provider", r"%systemroot%\system32\WsmWmiPl.dll")
SHELL_PLUGIN = Provider("Shell cmd plugin", r"%systemroot%\system32\winrscmd.dll")
SHELL_PROVIDER = Provider("Shell provider", r"%systemroot%\system32\WsmSvc.dll")


@dataclass
class Fault(Exception):
    """An operation failed: raised anywhere below the service, answered as HTTP 500 and a SOAP fault."""

    code: int
    subcode: str = "w:InternalError"
    text: str = "The request cannot be processed."
    shape: Shape = Shape.PLAIN
    detail: str | None = None
    """Last part of the DMTF fault detail URI."""
    provider: Provider = WMI_PROVIDER
    inner_code: int | None = None
    inner_text: str | None = None
    operation: str | None = None
    """Operation and parameter of the extended status that WMI adds."""
    parameter: str | None = None
    error_namespace: str = field(default=names.CIM_SCHEMA + "MSFT_WmiError")
    relates: bool = True
    """Some faults come without RelatesTo."""

    def __post_init__(self) -> None:
        if self.inner_code is not None and self.shape is Shape.PLAIN:
            raise ValueError("a plain fault has no inner code")

    def __str__(self) -> str:
        return f"{self.code} {self.subcode} {self.text}"

    @property
    def action(self) -> str:
        """The Action header: every specification has its own fault action."""
        prefix = self.subcode.partition(":")[0]
        base = {
            "a": names.ADDRESSING,
            "s": names.ADDRESSING,
            "n": names.ENUMERATION,
            "x": names.TRANSFER,
        }.get(prefix, "http://schemas.dmtf.org/wbem/wsman/1/wsman")
        return base + "/fault"

    @property
    def blames_sender(self) -> bool:
        """Whether SOAP's code is Sender rather than Receiver."""
        return self.subcode not in {"w:InternalError", "w:TimedOut"}

    def body(self, machine: str) -> str:
        """The content of the SOAP body."""
        return (
            "<s:Fault><s:Code>"
            f"<s:Value>s:{'Sender' if self.blames_sender else 'Receiver'}</s:Value>"
            f"<s:Subcode><s:Value>{self.subcode}</s:Value></s:Subcode></s:Code>"
            f'<s:Reason><s:Text xml:lang="en-US">{escape(self.text)} </s:Text></s:Reason>'
            f"<s:Detail>{self._detail(machine)}</s:Detail></s:Fault>"
        )

    def _detail(self, machine: str) -> str:
        if self.shape is Shape.WMI_ERROR:
            return self._wmi_error()
        uri = f"<w:FaultDetail>{names.FAULT_DETAIL}{self.detail}</w:FaultDetail>" if self.detail else ""
        if self.shape is Shape.PLAIN:
            return uri + _wsman_fault(self.code, machine, escape(self.text) + " ")
        inner = _wsman_fault(
            self.inner_code if self.inner_code is not None else self.code,
            f"{machine}.internal" if machine else "",
            escape(self.inner_text or self.text) + " ",
        )
        provided = (
            f"<f:ProviderFault provider={quoteattr(self.provider.name)} path={quoteattr(self.provider.path)}>"
            f"{inner}{self._extended_status()}</f:ProviderFault>"
        )
        return uri + _wsman_fault(self.code, machine, provided)

    def _extended_status(self) -> str:
        if self.operation is None:
            return ""
        return (
            f'<f:ExtendedError><p:__ExtendedStatus xmlns:xsi="{names.XSI}" '
            f'xmlns:p="{names.WMI}root/cimv2/__ExtendedStatus" xmlns:cim="{names.CIM_COMMON}" '
            'xsi:type="p:__ExtendedStatus_Type"><p:Description xsi:nil="true"/>'
            f"<p:Operation>{escape(self.operation)}</p:Operation>"
            f"<p:ParameterInfo>{escape(self.parameter or '', {chr(34): '&quot;'})}</p:ParameterInfo>"
            '<p:ProviderName>WinMgmt</p:ProviderName><p:StatusCode xsi:nil="true"/>'
            "</p:__ExtendedStatus></f:ExtendedError>"
        )

    def _wmi_error(self) -> str:
        code = self.inner_code if self.inner_code is not None else self.code
        text = escape(self.inner_text or self.text)
        return (
            f'<p:MSFT_WmiError b:IsCIM_Error="true" xmlns:xsi="{names.XSI}" xmlns:b="{names.CIM_BINDING}" '
            f'xmlns:p="{self.error_namespace}" xmlns:cim="{names.CIM_COMMON}" xsi:type="p:MSFT_WmiError_Type">'
            '<p:CIMStatusCode xsi:type="cim:cimUnsignedInt">27</p:CIMStatusCode>'
            '<p:CIMStatusCodeDescription xsi:type="cim:cimString" xsi:nil="true"/>'
            '<p:ErrorSource xsi:type="cim:cimString" xsi:nil="true"/>'
            '<p:ErrorType xsi:type="cim:cimUnsignedShort">0</p:ErrorType>'
            f'<p:Message xsi:type="cim:cimString">{text} </p:Message>'
            f'<p:MessageID xsi:type="cim:cimString">HRESULT 0x{code:08x}</p:MessageID>'
            '<p:PerceivedSeverity xsi:type="cim:cimUnsignedShort">0</p:PerceivedSeverity>'
            '<p:ProbableCause xsi:type="cim:cimUnsignedShort">0</p:ProbableCause>'
            '<p:error_Category xsi:type="cim:cimUnsignedInt">30</p:error_Category>'
            f'<p:error_Code xsi:type="cim:cimUnsignedInt">{code}</p:error_Code>'
            '<p:error_Type xsi:type="cim:cimString">HRESULT</p:error_Type>'
            f'<p:error_WindowsErrorMessage xsi:type="cim:cimString">{text} </p:error_WindowsErrorMessage>'
            "</p:MSFT_WmiError>"
        )


def _wsman_fault(code: int, machine: str, content: str) -> str:
    return (
        f'<f:WSManFault xmlns:f="{names.FAULT}" Code="{code}" Machine={quoteattr(machine)}>'
        f"<f:Message>{content}</f:Message></f:WSManFault>"
    )
