"""What dbt makes once in a process, made: imports, and schemas of what files may say.

Imported by the process that dbt's commands are forked off (forked_dbt), which is then
seconds ahead of one that starts by itself. What dbt has parsed and compiled of its own
macros and of the project's it keeps there, by its text.
"""

import gc
import tempfile

from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.unparsed import UnparsedSourceDefinition
from dbt_common.clients.jinja import template_cache
from dbt_common.tests import enable_test_caching

from firstclick.core.project import PROJECT

enable_test_caching()
with tempfile.TemporaryDirectory() as directory:
    parse = [
        *("--quiet", "--log-level-file", "none", "parse"),
        # Its threads would not be there in what is forked off
        "--no-static-parser",
        *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)),
        *("--target-path", directory, "--log-path", directory),
    ]
    dbtRunner().invoke(parse)
    # Once more, to read what the first time wrote
    parsed = dbtRunner().invoke(parse).result
assert isinstance(parsed, Manifest)
for macro in parsed.macros.values():
    template_cache.get_node_template(macro)
# PROJECT has none
UnparsedSourceDefinition.json_schema()
# What is there is not looked through, and so not copied, in what is forked off
gc.freeze()
