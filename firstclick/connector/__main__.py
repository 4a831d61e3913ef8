import sys

from firstclick.connector import carry
from firstclick.worker import main

if __name__ == "__main__":
    sys.exit(main("connector", carry))
