# syntax=docker/dockerfile:1
# The image of `coconut serve`: docker build --tag coconut:local .
# Dependencies are compiled in a layer of their own (cargo-chef), so that a change in src/ rebuilds only this package.

# Equal to rust-toolchain.toml; a test compares them.
ARG RUST_VERSION=1.95.0
ARG DEBIAN_RELEASE=bookworm

FROM rust:${RUST_VERSION}-slim-${DEBIAN_RELEASE} AS chef
RUN cargo install --locked --version 0.1.78 cargo-chef
WORKDIR /src

FROM chef AS planner
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
COPY --from=planner /src/recipe.json recipe.json
RUN cargo chef cook --profile dist --locked --bin coconut --recipe-path recipe.json
COPY . .
RUN cargo build --profile dist --locked --bin coconut
# Line tables are most of the file: they go beside it, where backtraces and profilers find them by its debug link.
RUN objcopy --only-keep-debug target/dist/coconut coconut.debug \
    && objcopy --strip-all --add-gnu-debuglink=coconut.debug target/dist/coconut coconut

# docker build --target debug --output . .   writes coconut.debug; it counts where it lies beside the program.
FROM scratch AS debug
COPY --from=build /src/coconut.debug /

FROM debian:${DEBIAN_RELEASE}-slim AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="coconut" \
      org.opencontainers.image.description="Inference server for language models that reason in a continuous latent space" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /src/coconut /usr/local/bin/coconut
# Models named by their id on the hub are downloaded here. Its owner passes to a new volume that is mounted over it.
RUN install --directory --owner=65532 --group=65532 /cache
ENV COCONUT_LISTEN=0.0.0.0:8080 \
    COCONUT_LOG_FORMAT=json \
    HF_HOME=/cache
# A number, so that Kubernetes can see that it is not root. Nothing is written but /cache, and that only where the model
# is an id: a read-only root file system works.
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["coconut", "healthcheck"]
ENTRYPOINT ["coconut"]
CMD ["serve"]
