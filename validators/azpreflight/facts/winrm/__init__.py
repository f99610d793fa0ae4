"""The source `winrm`: CIM, configuration, registry and read-only programs of one Windows node over WS-Management.

Everything that knows the wire is in this package; pywinrm authenticates and encrypts.
"""
