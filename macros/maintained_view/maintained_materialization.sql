{#- What the materializations have in common: hooks, one transaction, grants. With the
    variable `single_transaction` that is left to deploy_in_single_transaction(). -#}
{% macro maintained_materialization(kind) %}
    {% set target_relation = this.incorporate(
        type='view' if kind == 'view' else 'table') %}
    {% set parents = [] %}
    {% for id in model.depends_on.nodes %}
        {% do parents.append((graph.nodes.get(id) or graph.sources.get(id)).relation_name) %}
    {% endfor %}
    {% set definition = {
        'relation': target_relation.render(),
        'kind': kind,
        'sql': sql,
        'parents': parents,
        'config': {
            'unique_key': maintained_list(config.get('unique_key') or []),
            'count': config.get('count', ''),
            'lookup_keys': config.get('lookup_keys', {}),
            'affects_when': affecting_conditions(),
            'indexes': index_definitions(),
        },
    } %}
    {% if var('single_transaction', false) %}
        {% do definition.update({'refresh': should_full_refresh()}) %}
        {{ return(defer(definition)) }}
    {% endif %}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {% do begin_maintenance() %}
    {% do run_query("set local lock_timeout = '30s'") %}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% if config.get('contract').enforced %}
        {% do get_assert_columns_equivalent(sql) %}
    {% endif %}
    {#- A view has no rows, and its readers are refreshed in their turn. -#}
    {% set outcome = deploy_model(definition, kind != 'view' and should_full_refresh()) %}
    {% call noop_statement('main', outcome) %}{{ sql }}{% endcall %}

    {% do apply_grants(target_relation, config.get('grants'), should_revoke=True) %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmacro %}


{#- The `affects_when` of the config by relation, rendered as dbt renders a hook: a
    condition in YAML may have `this` in it. -#}
{% macro affecting_conditions() %}
    {% set conditions = {} %}
    {% for relation, condition in config.get('affects_when', {}).items() %}
        {% do conditions.update({relation: render(condition) | trim}) %}
    {% endfor %}
    {{ return(conditions) }}
{% endmacro %}


{#- The `indexes` of the config as SQL: their columns, and where they have rows. -#}
{% macro index_definitions() %}
    {% set definitions = [] %}
    {% for index in config.get('indexes', []) %}
        {% if not index.columns or index | reject('in', ['columns', 'where']) | list %}
            {% do exceptions.raise_compiler_error(
                this ~ ': indexes has ' ~ index ~ ": expected columns, and perhaps where") %}
        {% endif %}
        {% do definitions.append('(' ~ index.columns | join(', ') ~ ')'
            ~ (' where ' ~ index.where if index.where else '')) %}
    {% endfor %}
    {{ return(definitions) }}
{% endmacro %}
