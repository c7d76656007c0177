"""Stage kinds, one file each: the file's name is the YAML `use:` key, its class is named in `KIND`."""
