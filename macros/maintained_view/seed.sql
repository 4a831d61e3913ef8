{#- The rows of a file beside those that came any other way: see seed_rows.sql. On
    PostgreSQL; the streaming engines have dbt's own seeds. -#}
{% materialization seed, adapter='postgres' %}
    {% if adapter.type() != 'postgres' %}
        {{ return(materialization_seed_default()) }}
    {% endif %}
    {% set target_relation = this.incorporate(type='table') %}
    {% set existing = load_cached_relation(this) %}
    {% if existing and not existing.is_table %}
        {% do exceptions.raise_compiler_error(
            this ~ ' is a ' ~ existing.type ~ ', expected a table or nothing: drop it, or rename the seed') %}
    {% endif %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {% call statement('begin', auto_begin=True) %}select {{ maintenance_schema() }}.pin(){% endcall %}
    {% set seed = seed_file() %}
    {% set indexes = [] %}
    {% for index in config.get('indexes', []) %}
        {% do indexes.append(get_create_index_sql(target_relation, index)) %}
    {% endfor %}
    {% do seed.update({
        'relation': this.render(), 'kind': 'seed', 'sql': '', 'indexes': indexes,
        'record': this.schema ~ '.' ~ this.identifier,
    }) %}
    {% do stage_seed(seed) %}
    {% if var('single_transaction', false) %}
        {{ return(defer(seed)) }}
    {% endif %}

    {% do begin_maintenance() %}
    {% do run_query("set local lock_timeout = '30s'") %}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% set loaded = load_seed(seed) %}
    {% do run_all(loaded.statements) %}
    {% if loaded.is_retyped %}
        {% for reader in deployed_models().values() if seed.relation in reader.parents %}
            {% do deploy_model(reader, refresh=true) %}
        {% endfor %}
    {% endif %}
    {% call noop_statement('main', 'INSERT ' ~ seed.count, 'INSERT', seed.count) %}{% endcall %}

    {% do apply_grants(target_relation, config.get('grants'), should_revoke=True) %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
