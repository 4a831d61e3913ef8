import sys

from firstclick.workers.connector import ingest
from firstclick.workers.worker import main

if __name__ == "__main__":
    sys.exit(main("connector", ingest))
