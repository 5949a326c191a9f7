# The worker: stages, API and console in one process. See docs/architecture.md for what else it needs.
FROM python:3.11.13-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/inm
ENV PATH=/opt/inm/bin:$PATH
COPY requirements-worker.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements-worker.lock
COPY pyproject.toml LICENSE ./
COPY inm ./inm
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11.13-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/inm --create-home inm
COPY --from=build /opt/inm /opt/inm
COPY config /etc/inm
ENV PATH=/opt/inm/bin:$PATH PYTHONUNBUFFERED=1 INM_CONFIG=/etc/inm INM_DATA_DIR=/var/lib/inm INM_HTTP_HOST=0.0.0.0
# Tables (RocksDB) live here: mount a volume there, or a restart restores them from Kafka.
WORKDIR /var/lib/inm
VOLUME /var/lib/inm
USER 10001
EXPOSE 6066
# A worker is healthy before its tables have recovered; ready is another question (/readyz).
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:6066/healthz', timeout=2)"]
ENTRYPOINT ["inm"]
CMD ["worker"]
