"""How a mixture divides its budget, one file each: the file's name is what `solver:` names, its class is named in `KIND`."""
