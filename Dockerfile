# The server and its embedded PostgreSQL in one image.
#
#   docker build --tag allocator .
#   docker run --rm -v stock:/var/lib/allocator allocator keys create --role operator --name me
#   docker run --init --stop-timeout 40 -p 8080:8080 -v stock:/var/lib/allocator allocator
#
# The first command prints an API key: what listens for others does not start without one.
# --init reaps what a crash leaves behind; --stop-timeout is longer than ALLOCATOR_DRAIN_MS,
# so that `docker stop` lets accepted requests finish. With a PostgreSQL of your own, add
# `--env ALLOCATOR_DATABASE_URL=postgresql://…`: the volume then stays empty.

FROM python:3.13-slim AS build

# A folder of the package is called http: no script's directory may come first on the path.
ENV PYTHONSAFEPATH=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /source
RUN python -m venv /opt/allocator

# The dependencies first: their layer is kept while only the source changes.
COPY pyproject.toml constraints.txt ./
RUN /opt/allocator/bin/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > needed.txt \
    && /opt/allocator/bin/pip install -c constraints.txt setuptools -r needed.txt

COPY README.md LICENSE ./
COPY allocator allocator
RUN /opt/allocator/bin/pip install -c constraints.txt --no-build-isolation . \
    && /opt/allocator/bin/pip uninstall --yes setuptools


FROM python:3.13-slim

# PostgreSQL refuses to run as root, and nothing here needs to be root.
RUN useradd --system --uid 10001 --no-create-home --home-dir /var/lib/allocator allocator \
    && install --directory --owner allocator --group allocator --mode 0700 /var/lib/allocator
COPY --from=build /opt/allocator /opt/allocator

# Variables instead of flags: whoever adds a flag to `serve` keeps the host, and whoever sets
# ALLOCATOR_DATABASE_URL is not contradicted by an ALLOCATOR_DATA_DIR of ours.
ENV PATH=/opt/allocator/bin:$PATH PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 \
    ALLOCATOR_HOST=0.0.0.0 XDG_DATA_HOME=/var/lib
USER allocator
WORKDIR /var/lib/allocator
VOLUME /var/lib/allocator
EXPOSE 8080
STOPSIGNAL SIGTERM

# Recovery after a crash may take a while, so the start period is generous. Another port is to be
# set by ALLOCATOR_PORT, which this can see.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, ssl, urllib.request as web; web.urlopen(('https' if os.environ.get('ALLOCATOR_TLS_CERT') else 'http') + '://127.0.0.1:' + os.environ.get('ALLOCATOR_PORT', '8080') + '/healthz', timeout=2, context=ssl._create_unverified_context())"]

ENTRYPOINT ["allocator"]
CMD ["serve"]
