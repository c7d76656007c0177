"""The bundled sample: a small crawl made from texts written for this project, with the truth about every page."""
