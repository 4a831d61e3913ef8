{{ engine_version() }}
