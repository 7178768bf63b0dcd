"""What the HTTP face is made of; `dynalab.http` puts it together."""
