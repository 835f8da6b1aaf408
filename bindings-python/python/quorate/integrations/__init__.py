"""How do other frameworks use quorate? Each module here needs the package that it is named after."""
