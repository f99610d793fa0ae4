"""From a site and rules to a report: plan, gather, judge."""
