"""The site: what the operator declares, from `site.yaml` or from an Azure Local ARM parameter file."""

from azpreflight.site.load import load_site
from azpreflight.site.model import LoadedSite, Node, Site
from azpreflight.site.references import REFERENCES, check_path, declared, filled, resolve

__all__ = ["REFERENCES", "LoadedSite", "Node", "Site", "check_path", "declared", "filled", "load_site", "resolve"]
