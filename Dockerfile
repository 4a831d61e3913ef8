# First Click itself: the command line, dbt with the models, the generator and the
# conformance tests. Kafka and the engine run in other containers.
FROM python:3.12-slim AS build
WORKDIR /firstclick
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /venv
COPY requirements-production.lock ./
RUN /venv/bin/pip install --require-hashes --requirement requirements-production.lock
COPY . .
# The build fetches ECharts with an npm of its own, which stays out of the image
RUN /venv/bin/pip install --no-deps --editable .

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 firstclick
COPY --from=build /venv /venv
COPY --from=build /firstclick /firstclick
WORKDIR /firstclick
USER firstclick
ENV PATH=/venv/bin:$PATH \
    DBT_LOG_PATH=/tmp/dbt/logs \
    DBT_SEND_ANONYMOUS_USAGE_STATS=false \
    DBT_TARGET_PATH=/tmp/dbt/target \
    FIRSTCLICK_HOME=/home/firstclick/state \
    PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["firstclick"]
CMD ["--help"]
