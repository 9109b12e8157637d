"""`python -I -m attractor`: the same command line without the console script."""

from attractor.entry import main

main()
