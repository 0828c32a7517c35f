"""The services under gunicorn on the official emulators: start, provision, load, stop; never what is run on them."""
