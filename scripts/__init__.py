"""Things that people run: making assets, taking pictures. Nothing in the app imports from here."""
