# The agent's image: the binary, and the tools that it calls. Built on what a fresh machine has
# (Debian 12, Node), by the same Makefile. From a tree without .git, say which commit it is:
#   docker build --build-arg PODSKOOP_COMMIT=… --build-arg SOURCE_DATE_EPOCH=… -t podskoop .
FROM node:22-bookworm-slim AS build
WORKDIR /src
# Compilers and Deno change less often than the source, so they are a layer of their own.
COPY tools/setup.sh tools/versions.sh tools/denort.sh tools/
RUN tools/setup.sh run && tools/denort.sh && rm -rf /var/lib/apt/lists/*
COPY . .
ARG PODSKOOP_VERSION=
ARG PODSKOOP_COMMIT=
ARG SOURCE_DATE_EPOCH=
RUN make build

FROM debian:bookworm-slim
COPY tools/setup.sh tools/versions.sh /src/tools/
RUN /src/tools/setup.sh node && rm -rf /src /var/lib/apt/lists/* /var/cache/apt/archives
COPY --from=build /src/dist/podskoop /usr/local/bin/podskoop
RUN ln -s podskoop /usr/local/bin/inspector && ln -s podskoop /usr/local/bin/skoop
EXPOSE 9102
ENTRYPOINT ["/usr/local/bin/podskoop"]
CMD ["agent"]
