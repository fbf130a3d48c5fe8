# The images of wattmesh, from one file:
#   docker build --target operator -t wattmesh/operator:dev .
#   docker build --target runtime  -t wattmesh/runtime:dev .     (gateway and agents)
# `make image` builds both. They share the base; each has only the packages that its part imports.

# Python 3.12.14 on Debian 13, for all platforms. `docker buildx imagetools inspect python:3.12-slim` says what it is now.
ARG PYTHON_IMAGE=python:3.12-slim@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea

# ---- build: what is installed here is copied; pip and its leftovers stay behind.
FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1
RUN python -m venv --without-pip /opt/wattmesh
# Wheels only, checked against the lock's hashes: nothing is compiled and no package's own code runs.
# Bytecode is made once, here: a read-only container could not keep it and would compile at every start. It is
# unchecked, because nothing changes the sources afterwards; that also spares a stat call per module.
ENV INSTALL="pip --python /opt/wattmesh/bin/python install --quiet --require-hashes --no-deps --only-binary=:all: --no-compile" \
    COMPILE="python -m compileall -q -j 0 --invalidation-mode unchecked-hash"

FROM build AS operator-packages
COPY requirements-operator.lock /tmp/
RUN $INSTALL -r /tmp/requirements-operator.lock && $COMPILE /opt/wattmesh/lib

FROM build AS runtime-packages
COPY requirements-runtime.lock /tmp/
RUN $INSTALL -r /tmp/requirements-runtime.lock && $COMPILE /opt/wattmesh/lib

# Our own code is a layer apart from the packages: a change of code changes a few hundred kilobytes.
FROM build AS operator-code
COPY market/wattmesh_market /app/wattmesh_market
COPY common/wattmesh_common /app/wattmesh_common
COPY beckn/wattmesh_beckn /app/wattmesh_beckn
COPY operator/wattmesh_operator /app/wattmesh_operator
RUN $COMPILE /app

FROM build AS runtime-code
COPY market/wattmesh_market /app/wattmesh_market
COPY common/wattmesh_common /app/wattmesh_common
COPY beckn/wattmesh_beckn /app/wattmesh_beckn
COPY agents/wattmesh_agents /app/wattmesh_agents
COPY gateway/wattmesh_gateway /app/wattmesh_gateway
RUN $COMPILE /app

# ---- what both images are
FROM ${PYTHON_IMAGE} AS base
# A name for the numeric user, because some libraries ask for it; there is no home and no shell.
RUN echo 'wattmesh:x:65532:65532::/nonexistent:/usr/sbin/nologin' >>/etc/passwd \
 && echo 'wattmesh:x:65532:' >>/etc/group
# Logs appear as they are written, and a read-only root file system gets no useless attempts to write bytecode.
ENV PATH=/opt/wattmesh/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
# Numeric, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 65532:65532
EXPOSE 8080
ARG VERSION=dev
ARG REVISION=unknown
ARG PYTHON_IMAGE
LABEL org.opencontainers.image.base.name="${PYTHON_IMAGE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM base AS operator
LABEL org.opencontainers.image.title="wattmesh-operator" \
      org.opencontainers.image.description="Makes wattmesh.io custom resources real: gateways, households and utilities of a peer-to-peer energy market"
COPY --from=operator-packages /opt/wattmesh /opt/wattmesh
COPY --from=operator-code /app /app
# glibc gives back what large JSON texts took (mallopt(3)): a ninth less memory with 4,000 households.
ENV MALLOC_ARENA_MAX=1 \
    MALLOC_MMAP_THRESHOLD_=65536 \
    MALLOC_TRIM_THRESHOLD_=65536
ENTRYPOINT ["python", "-m", "wattmesh_operator"]

FROM base AS runtime
LABEL org.opencontainers.image.title="wattmesh-runtime" \
      org.opencontainers.image.description="Gateway and agents of wattmesh: python -m wattmesh_gateway, python -m wattmesh_agents"
COPY --from=runtime-packages /opt/wattmesh /opt/wattmesh
COPY --from=runtime-code /app /app
# The operator names the module to run. Without one, say what there is instead of opening a Python prompt.
CMD ["python", "-c", "raise SystemExit('give a command: python -m wattmesh_gateway … or python -m wattmesh_agents …')"]
