"""From notebooks to a site, a report and a printed book."""
