"""The source `ldap`: the directory of the site's domain, read from the operator's machine."""
