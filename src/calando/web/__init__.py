"""A running study in the browser. Needs the extra `calando[web]`."""
