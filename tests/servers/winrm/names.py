"""Namespaces, resource URIs and actions of WS-Management as Windows speaks it."""

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
EVENTING = "http://schemas.xmlsoap.org/ws/2004/08/eventing"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
WSMAN_MS = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"
FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
CONFIG = "http://schemas.microsoft.com/wbem/wsman/1/config"
CIM_COMMON = "http://schemas.dmtf.org/wbem/wscim/1/common"
CIM_SCHEMA = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
CIM_BINDING = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
XML = "http://www.w3.org/XML/1998/namespace"

ANONYMOUS = ADDRESSING + "/role/anonymous"
WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi/"
SHELL_CMD = SHELL + "/cmd"
WQL_DIALECT = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
FAULT_DETAIL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/"

ENUMERATE_ACTION = ENUMERATION + "/Enumerate"
PULL_ACTION = ENUMERATION + "/Pull"
RELEASE_ACTION = ENUMERATION + "/Release"
GET_ACTION = TRANSFER + "/Get"
PUT_ACTION = TRANSFER + "/Put"
CREATE_ACTION = TRANSFER + "/Create"
DELETE_ACTION = TRANSFER + "/Delete"
COMMAND_ACTION = SHELL + "/Command"
SEND_ACTION = SHELL + "/Send"
RECEIVE_ACTION = SHELL + "/Receive"
SIGNAL_ACTION = SHELL + "/Signal"

OPERATIONS = {
    ENUMERATE_ACTION: "Enumerate",
    PULL_ACTION: "Pull",
    RELEASE_ACTION: "Release",
    GET_ACTION: "Get",
    PUT_ACTION: "Put",
    CREATE_ACTION: "Create",
    DELETE_ACTION: "Delete",
    COMMAND_ACTION: "Command",
    SEND_ACTION: "Send",
    RECEIVE_ACTION: "Receive",
    SIGNAL_ACTION: "Signal",
}
