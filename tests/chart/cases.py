"""The values that are rendered, validated and kept as golden manifests, by name."""

from __future__ import annotations

from typing import Any

from tests.chart.rendering import merged, values_of

PASSWORD = {"postgresql": {"auth": {"password": "postgres-secret"}}}
EDGE, CENTRE, SHARED = "values-edge-cluster.yaml", "values-central-cluster.yaml", "values-shared-cluster.yaml"
TLS: dict[str, Any] = {
    "externalRedis": {
        "enabled": True,
        "host": "redis.example.com",
        "port": 6380,
        "tls": {"enabled": True, "caCert": "-----BEGIN CERTIFICATE-----\n"},
        "auth": {"enabled": True, "existingSecret": "broker", "existingSecretPasswordKey": "pass"},
        "cidrs": ["10.1.0.0/16"],
    }
}
EXTERNAL_DATABASE: dict[str, Any] = {
    "externalPostgresql": {
        "enabled": True,
        "host": "postgres.example.com",
        "existingSecret": "database",
        "sslMode": "verify-full",
        "caCert": "-----BEGIN CERTIFICATE-----\n",
        "cidrs": ["10.2.0.0/16"],
    }
}
SEVERAL: dict[str, Any] = {
    "externalRedis": {
        "enabled": True,
        "host": "",
        "username": "telemetry",
        "brokers": [
            {"name": "north", "host": "n.example.org", "cidrs": ["10.3.0.0/16"]},
            {"name": "south", "sentinel": {"hosts": ["s1", "s2:26380"], "service": "south"}},
            {"name": "west", "host": "w.example.org", "port": 6380},
        ],
        "drained": ["west"],
        "sentinel": {"existingSecret": "watch"},
        "auth": {"enabled": True, "existingSecret": "broker"},
    }
}
CASES: dict[str, dict[str, Any]] = {
    "defaults": PASSWORD,
    "edge": values_of(EDGE),
    "edge-records": merged(
        values_of(EDGE), {"streamer": {"record": {"enabled": True, "scrape": "http://$(HOST_IP):9400/metrics"}}}
    ),
    "edge-records-tool": merged(values_of(EDGE), {"streamer": {"record": {"enabled": True, "tool": "nvidia-smi"}}}),
    "edge-records-driver": merged(
        values_of(EDGE), {"streamer": {"record": {"enabled": True, "volume": {"hostPath": {"path": "/var/spool/gpus"}}}}}
    ),
    "edge-allocations": merged(merged(values_of(EDGE), TLS), {"allocations": {"enabled": True}}),
    "edge-tls": merged(values_of(EDGE), TLS),
    "edge-trust": merged(
        merged(values_of(EDGE), TLS),
        {"externalRedis": {"username": "telemetry.edge.gpu-a"}, "trust": {"existingSecret": "telemetry-edge"}},
    ),
    "edge-brokers": merged(values_of(EDGE), SEVERAL),
    "edge-deployment": {
        "collector": {"enabled": False},
        "streamer": {"replicaCount": 3, "files": {"existingClaim": "dumps"}, "config": {"loopMode": True}},
    },
    "edge-statefulset": {
        "collector": {"enabled": False},
        "streamer": {
            "kind": "StatefulSet",
            "replicaCount": 2,
            "files": {"volume": {"nfs": {"server": "nfs", "path": "/dumps"}}},
        },
    },
    "shared": merged(
        values_of(SHARED),
        {
            "redis": {
                "existingSecret": "broker",
                "service": {"type": "LoadBalancer", "annotations": {"internal": "true"}},
                "from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
                "tls": {"existingSecret": "redis-tls"},
                "users": {"existingSecret": "redis-users"},
            },
            "metrics": {"podMonitor": {"enabled": True}},
        },
    ),
    "shared-sentinel": merged(
        values_of(SHARED),
        {
            "redis": {"existingSecret": "broker", "sentinel": {"enabled": True}, "users": {"existingSecret": "redis-users"}},
            "metrics": {"podMonitor": {"enabled": True}},
        },
    ),
    "centre": merged(values_of(CENTRE), PASSWORD),
    "centre-external": merged(merged(values_of(CENTRE), TLS), EXTERNAL_DATABASE),
    "centre-brokers": merged(
        merged(merged(values_of(CENTRE), SEVERAL), EXTERNAL_DATABASE),
        {"collector": {"keda": {"enabled": True}}, "uploads": {"enabled": True}},
    ),
    "centre-client-certificate": merged(
        PASSWORD,
        {
            "externalRedis": {
                "enabled": True,
                "host": "redis.example.com",
                "username": "collector",
                "password": "redis-secret",
                "tls": {"enabled": True, "existingSecret": "broker-tls", "clientCertificate": True},
            },
            "collector": {"keda": {"enabled": True}},
        },
    ),
    "centre-everything": merged(
        PASSWORD,
        {
            "redis": {"password": "redis-secret", "persistence": {"enabled": True, "storageClass": "fast"}},
            "collector": {
                "autoscaling": {"enabled": True},
                "topologySpreadConstraints": [
                    {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
                ],
            },
            "flower": {"auth": {"existingSecret": "flower"}, "urlPrefix": "/flower"},
            "api": {
                "login": {
                    "issuer": "https://login.example.org:8443/realms/main",
                    "clientId": "telemetry",
                    "existingSecret": "telemetry-login",
                    "groups": {
                        "gpu-admins": {"scopes": ["admin"]},
                        '/teams/"vision"': {"namespaces": ["vision", "vision-dev"]},
                    },
                    "pageUrl": "https://telemetry.example.com",
                    "cidrs": ["10.8.0.0/16"],
                }
            },
            "uploads": {"enabled": True, "persistence": {"storageClass": "shared"}},
            "ingress": {
                "enabled": True,
                "className": "nginx",
                "tls": [{"secretName": "tls", "hosts": ["telemetry.example.com"]}],
            },
            "httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}], "hostnames": ["telemetry.example.com"]},
            "metrics": {
                "podMonitor": {"enabled": True},
                "prometheusRule": {"enabled": True},
                "dashboards": {"enabled": True, "files": {"fleet.json": "{}"}},
                "remoteRead": {"enabled": True},
            },
            "migrations": {"hook": True},
            "trust": {
                "existingSecret": "telemetry-trust",
                "signatures": "required",
                "roles": {"existingSecret": "telemetry-roles"},
            },
            "restartToken": "2",
            "commonLabels": {"team": "gpu"},
            "commonAnnotations": {"note": "kept"},
            "extraEnv": [{"name": "TELEMETRY_ACK_TTL_S", "value": "3600"}],
            "extraVolumes": [{"name": "scratch", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
            "extraObjects": [
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-extra"}, "data": {"a": "b"}}
            ],
            "image": {
                "registry": "registry.example.com",
                "centralDigest": "sha256:" + "0" * 64,
                "pullSecrets": [{"name": "pull"}],
            },
            "networkPolicy": {
                "apiFrom": [{"namespaceSelector": {}}],
                "metricsFrom": [{"namespaceSelector": {}}],
                "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.9.0.0/16"}}]}],
            },
        },
    ),
}
