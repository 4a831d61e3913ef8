"""What dbt makes once in a process, made: imports, and schemas of what files may say.

Imported by the process that dbt's commands are forked off (forked_dbt), which is then
seconds ahead of one that starts by itself.
"""

import tempfile

from dbt.cli.main import cli

from firstclick.deploy import PROJECT

with tempfile.TemporaryDirectory() as directory:
    cli(
        [
            *("--quiet", "--log-level-file", "none", "parse", "--no-partial-parse"),
            # Its threads would not be there in what is forked off
            "--no-static-parser",
            *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)),
            *("--target-path", directory, "--log-path", directory),
        ],
        standalone_mode=False,
    )
