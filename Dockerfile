# PicGate without a desktop: the gateway and nothing else, as an image without a shell.
#
#   docker build -t picgate .
#   docker run -d --name picgate -p 5643:5643 -v picgate-data:/app/data picgate
#
# Base images are arguments, for mirrors and for checks without a registry (.ci/container-check).
ARG NODE_IMAGE=docker.io/library/node:22-bookworm-slim
ARG RUST_IMAGE=docker.io/library/rust:1.95-slim-bookworm

# The admin UI is the same for every processor, so it is built once, on the builder's own.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS ui
WORKDIR /src/ui
COPY ui/package.json ui/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY ui ./
RUN npm run build

FROM ${RUST_IMAGE} AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src-tauri src-tauri
COPY migrations migrations
COPY --from=ui /src/ui/dist ui/dist
RUN PICGATE_UI=skip cargo build --release --locked -p picgate-gateway --bin picgate-headless

# The root of the image: the program, the C library that it is linked with, and the certificates by which upstreams and
# buckets are trusted. dpkg's records go along, so that scanners know which versions these are.
RUN set -eu; \
    root=/image; \
    install -D target/release/picgate-headless "$root/usr/local/bin/picgate"; \
    ldd target/release/picgate-headless | grep -o '/[^ ]*' | xargs cp --parents --dereference --target-directory="$root"; \
    install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"; \
    mkdir -p "$root/var/lib/dpkg/status.d"; \
    for package in libc6 libgcc-s1 ca-certificates; do \
        dpkg-query --status "$package" > "$root/var/lib/dpkg/status.d/$package"; \
    done; \
    cp /etc/os-release "$root/etc/os-release"; \
    echo 'picgate:x:1000:1000:PicGate:/app/data:/nonexistent' > "$root/etc/passwd"; \
    echo 'picgate:x:1000:' > "$root/etc/group"; \
    install -d -m 1777 "$root/tmp"; \
    install -d "$root/app"; \
    install -d -o 1000 -g 1000 -m 700 "$root/app/data"

FROM scratch
COPY --from=build /image/ /
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="PicGate" \
    org.opencontainers.image.description="Stores the pictures that AI models draw and gives chat clients links to them" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
# `container` is how programs learn that they are in one (systemd's "Container Interface"); SQLite's temporary files go
# where something can be written even if the root cannot.
ENV PATH=/usr/local/bin \
    HOST=0.0.0.0 \
    PORT=5643 \
    PICGATE_DATA_DIR=/app/data \
    SQLITE_TMPDIR=/app/data \
    container=oci
# Relative paths of the Python program's variables, such as ./data/images, mean the same as they did there.
WORKDIR /app
# The first account of most computers, so that a folder of one's own can be mounted as it is.
USER 1000:1000
VOLUME /app/data
EXPOSE 5643
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD ["picgate", "healthcheck"]
ENTRYPOINT ["picgate"]
CMD ["serve"]
