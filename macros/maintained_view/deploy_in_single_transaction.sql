{#- Deploys all models in one transaction, at the end of a run with the variable
    `single_transaction`. What changes is computed beside what is there, from the sources on, while
    readers read; then all takes its place in one short moment. Does nothing where a
    model could not be compiled. -#}
{% macro deploy_in_single_transaction(results) %}
    {%- if execute and adapter.type() == 'postgres' and var('single_transaction', false)
        and flags.WHICH in ['run', 'build']
        and not results | selectattr('status', 'in', ['error', 'fail', 'runtime error', 'skipped']) | list -%}
        {%- do begin_maintenance() -%}
        {%- do run_query("set local lock_timeout = '30s'") -%}
        {%- do deploy_models(graph.get('deferred', [])) -%}
        {%- do adapter.commit() -%}
    {%- endif -%}
{% endmacro %}


{#- Leaves a model to the end of the run: its definition, and its hooks as they are
    rendered here. Those run in the transaction, whatever they say. -#}
{% macro defer(definition) %}
    {% for name, hooks in {'pre_hooks': pre_hooks, 'post_hooks': post_hooks}.items() %}
        {% set rendered = [] %}
        {% for hook in hooks %}
            {% do rendered.append(render(hook.get('sql')) | trim) %}
        {% endfor %}
        {% do definition.update({name: rendered | select | list}) %}
    {% endfor %}
    {% do definition.update({'node': graph.nodes[model.unique_id]}) %}
    {% do graph.setdefault('deferred', []).append(definition) %}
    {% call noop_statement('main', 'deferred') %}{{ definition.sql }}{% endcall %}
    {{ return({'relations': []}) }}
{% endmacro %}


{#- Those that are read come before their readers. -#}
{% macro deploy_models(definitions) %}
    {% set left = definitions | map(attribute='relation') | list %}
    {% for node in graph.nodes.values()
        if node.resource_type == 'model' and node.relation_name not in left %}
        {% do exceptions.raise_compiler_error(
            node.relation_name ~ " is not deployed: single_transaction is for all models") %}
    {% endfor %}
    {% set deployed = deployed_models() %}
    {% do hold_sources(deployed) %}
    {% set coming = {
        'models': {}, 'plans': [], 'stand_ins': {},
        'successors': {}, 'alterations': {}, 'removals': {},
    } %}
    {% for definition in definitions %}
        {% do log('Model ' ~ name_of_relation(definition.relation) ~ ' begun', info=true) %}
        {% do run_all(definition.pre_hooks) %}
        {% if definition.kind == 'seed' %}
            {% do stage_seed(definition) %}
            {% set loaded = load_seed(definition) %}
            {% do coming.removals.update({definition.relation: loaded.statements}) %}
            {% if loaded.is_retyped %}
                {% do coming.stand_ins.update({definition.relation: definition.relation}) %}
            {% endif %}
        {% elif definition.kind == 'kafka_table' %}
            {% do begin_kafka_table(definition, coming) %}
        {% else %}
            {% do begin_model(definition, deployed.get(definition.relation), coming) %}
        {% endif %}
    {% endfor %}
    {% do end_models(definitions, deployed, coming) %}
{% endmacro %}


{#- Whoever writes to a source holds it while waiting for its turn: to lock it only when
    its readers are computed could be a deadlock. -#}
{% macro hold_sources(deployed) %}
    {% set sources = [] %}
    {% for model in deployed.values() %}
        {% do sources.extend(model.parents | reject('in', deployed)) %}
    {% endfor %}
    {% for source in sources | unique if exists_relation(source) %}
        {% do run_query('lock table ' ~ source ~ ' in share row exclusive mode') %}
    {% endfor %}
{% endmacro %}


{% macro begin_kafka_table(definition, coming) %}
    {% set relation = definition.relation %}
    {% do run_query(create_kafka_table(relation, definition.sql)) %}
    {% set alterations = alterations_of(relation, definition.sql, definition.unique_on) %}
    {% do coming.alterations.update({relation: alterations.statements}) %}
    {% if alterations.added %}
        {% set columns = ['stored.*'] %}
        {% for column in alterations.added %}
            {% do columns.append('null::' ~ column.type ~ ' as ' ~ column.name) %}
        {% endfor %}
        {% do coming.stand_ins.update({relation:
            '(select ' ~ columns | join(', ') ~ ' from ' ~ relation ~ ' as stored)'}) %}
    {% endif %}
{% endmacro %}


{#- Computes the model where it is to have other rows, without keeping a reader waiting. -#}
{% macro begin_model(definition, deployed, coming) %}
    {% set relation = definition.relation %}
    {% do coming.models.update({relation:
        dict(definition, rank=rank_of_model(definition, coming.models))}) %}
    {% set plan = planned_model(
        definition, coming.models, deployed, definition.refresh, coming.stand_ins) %}
    {% do coming.plans.append(plan) %}
    {% set changes, key = definition.changes, definition.key %}
    {% if changes %}
        {% do run_query(table_of_changes(changes, key)) %}
    {% endif %}
    {% if plan.is_deployed %}
        {{ return('') }}
    {% endif %}
    {% set outcome = namespace(word='updated' if plan.exists else 'created') %}
    {% do block_writers(plan) %}
    {% if definition.kind == 'view' %}
        {% do coming.successors.update({relation: none}) %}
        {% do coming.stand_ins.update({relation: '(\n' ~ plan.sql ~ '\n)'}) %}
    {% elif plan.has_its_rows %}
        {% do coming.removals.update({relation:
            create_indexes_of(relation, definition, plan.columns)}) %}
    {% elif plan.exists %}
        {% set successor = successor_of(relation) %}
        {% do create_relation(successor, definition, plan.sql, plan.columns) %}
        {% do coming.successors.update({relation: successor}) %}
        {% do coming.stand_ins.update({relation: successor}) %}
        {% set outcome.word = 'rebuilt' %}
    {% else %}
        {% do create_relation(relation, definition, plan.sql, plan.columns) %}
        {% do coming.stand_ins.update({relation: relation}) %}
    {% endif %}
    {% if changes and plan.exists and plan.in_place and deployed
        and deployed.rows_hash == plan.rows_hash %}
        {% do run_query(note_differences(relation, '(' ~ plan.sql ~ ')', changes, key)) %}
    {% elif changes %}
        {% set table = definition.parents[0] %}
        {% do run_query(note_all([table, coming.stand_ins.get(table, table)], changes, key)) %}
    {% endif %}
    {% if not deployed or deployed.rows_hash != plan.rows_hash or definition.kind != 'view' %}
        {% do log('Model ' ~ name_of_relation(relation) ~ ' ' ~ outcome.word, info=true) %}
    {% endif %}
{% endmacro %}


{#- All that readers wait for: it locks what changes, and is over soon. -#}
{% macro end_models(definitions, deployed, coming) %}
    {% do log('Models take their places', info=true) %}
    {% set functions = deployed.values() | map(attribute='functions') | sum(start=[]) %}
    {% set kept_functions = [] %}
    {% set kept_names = [] %}
    {% for plan in coming.plans %}
        {% do kept_functions.extend(plan.triggers.functions) %}
        {% do kept_names.extend(names_of_triggers(plan.triggers)) %}
    {% endfor %}
    {% set statements = [] %}
    {% for relation in deployed if relation not in coming.models %}
        {% do coming.successors.update({relation: none}) %}
        {% do statements.append('delete from ' ~ maintenance_schema()
            ~ ".models where relation = '" ~ relation ~ "'") %}
        {% do log(relation ~ ' is no model any more: dropped', info=true) %}
    {% endfor %}
    {% for plan in coming.plans if not plan.is_deployed %}
        {% do statements.append(remember_model(plan.definition, coming.models, plan)) %}
    {% endfor %}
    {% do run_all(statements) %}

    {% set locked = coming.successors.keys() | list %}
    {% for relation, changes in (
        coming.alterations.items() | list + coming.removals.items() | list) if changes %}
        {% do locked.append(relation) %}
    {% endfor %}
    {% for trigger in stale_triggers(functions, kept_functions, kept_names) %}
        {% do locked.append(trigger['table']) %}
    {% endfor %}
    {% for plan in coming.plans if not plan.is_deployed %}
        {% do locked.extend(run_query(
            'select it from ' ~ maintenance_schema() ~ '.unidentified('
            ~ text_array(tables_of(plan.definition, plan.triggers)) ~ ') as it'
        ).columns[0].values()) %}
    {% endfor %}
    {% do run_query('select ' ~ maintenance_schema() ~ '.lock_all(' ~ text_array(locked) ~ ')') %}
    {% do run_all(coming.alterations.values() | sum(start=[])) %}
    {% do swap(coming.successors) %}
    {% do run_all(coming.removals.values() | sum(start=[])) %}
    {% for plan in coming.plans if not plan.is_deployed %}
        {% do install_triggers(plan.definition, plan.triggers) %}
    {% endfor %}
    {% do drop_stale_triggers(functions, kept_functions, kept_names) %}
    {% for definition in definitions %}
        {% if definition.changes %}
            {% do run_query(note_changes(
                definition.relation, definition.parents[0],
                definition.changes, definition.key)) %}
        {% endif %}
        {% if definition.node %}
            {% do finish_model(definition.node) %}
        {% endif %}
        {% do run_all(definition.post_hooks) %}
    {% endfor %}
{% endmacro %}


{#- What dbt does for a model when it is made, by the config of its node. -#}
{% macro finish_model(node) %}
    {% set relation = api.Relation.create(
        database=node.database, schema=node.schema, identifier=node.alias) %}
    {% do apply_grants(relation, node.config.grants, should_revoke=True) %}
    {% if node.config.persist_docs.relation and node.description %}
        {% do run_query(alter_relation_comment(relation, node.description)) %}
    {% endif %}
    {% if node.config.persist_docs.columns and node.columns %}
        {% do run_query(alter_column_comment(relation, node.columns)) %}
    {% endif %}
{% endmacro %}
