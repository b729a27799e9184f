# The server and what it needs at run time: no compiler, no package cache, no embedded databases.
# `docker build -t stagewire .`, then `docker run stagewire` serves; `docker run stagewire migrate` migrates.
FROM python:3.13-slim AS wheels
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/root/.cache/pip \
    pip wheel --disable-pip-version-check --constraint constraints.txt --wheel-dir /wheels .

FROM python:3.13-slim
# There is one version among the wheels.
# hadolint ignore=DL3013
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    pip install --disable-pip-version-check --no-cache-dir --no-index --find-links /wheels stagewire
# A number, so that an orchestrator can tell that this is not root.
USER 10001:10001
# The settings' default is the loopback address, which nobody outside of a container can reach.
ENV STAGEWIRE_HOST=0.0.0.0
EXPOSE 8000 8001
# Alive is enough: a server that waits for its database must not be restarted for it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["python", "-c", "\
import http.client, os; \
server = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('STAGEWIRE_HTTP_PORT', 8001)), timeout=2); \
server.request('GET', '/healthz'); \
raise SystemExit(server.getresponse().status != 200)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["stagewire"]
CMD ["serve"]
