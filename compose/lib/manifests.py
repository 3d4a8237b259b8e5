"""Checks rendered Kubernetes manifests: python manifests.py KUBERNETES-VERSION... <manifests

Each object is held against the API's own schemas, strictly, in each version named; those of
operators, whose schemas are not Kubernetes', against the part of them that is used here. Then
what no schema sees: that selectors select, that names lead somewhere, that the daemons' settings
are flags of theirs, and that every container runs without a privilege.
"""

import sys
import tomllib

import jsonschema
import kubernetes_validate
import yaml

from reference import flags

WORKLOADS = ("Deployment", "DaemonSet", "Job")


def closed(properties, required=None):
    """An object with these properties and no others."""
    required = list(properties) if required is None else required
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


TEXT = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}
DURATION = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
RULE = closed(
    {"alert": TEXT, "expr": TEXT, "for": DURATION, "labels": TEXTS, "annotations": TEXTS},
    ["alert", "expr"],
)
SCALE_DOWN = closed(
    {
        "stabilizationWindowSeconds": COUNT,
        "policies": {
            "type": "array",
            "items": closed({"type": {"enum": ["Pods", "Percent"]}, "value": COUNT, "periodSeconds": COUNT}),
        },
    }
)
TRIGGER = closed(
    {
        "type": {"const": "kafka"},
        # KEDA takes nothing but text.
        "metadata": closed(
            {
                "bootstrapServers": {"type": "string", "pattern": "^[^, ]+:[0-9]+(,[^, ]+:[0-9]+)*$"},
                "consumerGroup": TEXT,
                "topic": TEXT,
                "lagThreshold": {"type": "string", "pattern": "^[1-9][0-9]*$"},
                "offsetResetPolicy": {"enum": ["earliest", "latest"]},
                "tls": {"enum": ["enable", "disable"]},
                "sasl": {"enum": ["none", "plaintext", "scram_sha256", "scram_sha512"]},
            },
            ["bootstrapServers", "consumerGroup", "topic", "lagThreshold"],
        ),
        "authenticationRef": closed({"name": TEXT}),
    },
    ["type", "metadata"],
)
# By apiVersion and kind, the specification's schema.
OPERATORS = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): closed(
        {
            "jobLabel": TEXT,
            "endpoints": {
                "type": "array",
                "minItems": 1,
                "items": closed({"port": TEXT, "path": TEXT, "interval": DURATION}),
            },
            "selector": {"type": "object", "minProperties": 1},
        }
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): closed(
        {
            "groups": {
                "type": "array",
                "minItems": 1,
                "items": closed({"name": TEXT, "rules": {"type": "array", "minItems": 1, "items": RULE}}),
            }
        }
    ),
    ("keda.sh/v1alpha1", "ScaledObject"): closed(
        {
            "scaleTargetRef": closed({"apiVersion": TEXT, "kind": TEXT, "name": TEXT}),
            "minReplicaCount": COUNT,
            "maxReplicaCount": COUNT,
            "pollingInterval": COUNT,
            "cooldownPeriod": COUNT,
            "advanced": closed(
                {"horizontalPodAutoscalerConfig": closed({"behavior": closed({"scaleDown": SCALE_DOWN})})}
            ),
            "triggers": {"type": "array", "minItems": 1, "items": TRIGGER},
        }
    ),
    ("keda.sh/v1alpha1", "TriggerAuthentication"): closed(
        {
            "secretTargetRef": {
                "type": "array",
                "minItems": 1,
                "items": closed(
                    {
                        "parameter": {"enum": ["username", "password", "ca", "cert", "key"]},
                        "name": TEXT,
                        "key": TEXT,
                    }
                ),
            }
        }
    ),
}


def title(thing):
    return f"{thing['kind']} {thing['metadata']['name']}"


def schema_errors(thing, versions):
    known = OPERATORS.get((thing["apiVersion"], thing["kind"]))
    if known:
        validator = jsonschema.Draft202012Validator(known)
        for error in validator.iter_errors(thing.get("spec")):
            yield f"spec{error.json_path[1:]}: {error.message}"
        return
    for version in versions:
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            path = ".".join(str(part) for part in error.path)
            yield f"Kubernetes {version}: {path}: {error.message}"


def selects(selector, labels):
    """Whether a label selector, or a plain map of labels, fits."""
    plain = selector if "matchLabels" not in selector and "matchExpressions" not in selector else {}
    wanted = {**plain, **selector.get("matchLabels", {})}
    exists = [rule["key"] for rule in selector.get("matchExpressions", [])]
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        key in labels for key in exists
    )


def container_errors(pod, container):
    if pod.get("automountServiceAccountToken") is not False:
        yield "has a token for Kubernetes"
    if pod.get("enableServiceLinks") is not False:
        yield "gets services as variables, which may be read as settings"
    if pod.get("securityContext", {}).get("runAsNonRoot") is not True:
        yield "may run as root"
    context = container.get("securityContext", {})
    if context.get("readOnlyRootFilesystem") is not True:
        yield "may write its file system"
    if context.get("allowPrivilegeEscalation") is not False or context.get("capabilities") != {
        "drop": ["ALL"]
    }:
        yield "has privileges"
    for bound in (("requests", "memory"), ("requests", "cpu"), ("limits", "memory")):
        if not container.get("resources", {}).get(bound[0], {}).get(bound[1]):
            yield f"has no {bound[0]} of {bound[1]}"
    ports = {port["name"] for port in container.get("ports", [])}
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        port = container.get(probe, {}).get("httpGet", {}).get("port")
        if port is not None and port not in ports:
            yield f"{probe} asks port {port}, which is none"
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
    if volumes != mounts:
        yield f"mounts {sorted(mounts)} and has {sorted(volumes)}"


class Release:
    """All objects of one rendering."""

    def __init__(self, things):
        self.things = things
        self.names = {(thing["kind"], thing["metadata"]["name"]) for thing in things}
        self.pods = [(thing, thing["spec"]["template"]) for thing in things if thing["kind"] in WORKLOADS]

    def errors(self, thing):
        kind, spec = thing["kind"], thing.get("spec", {})
        if kind in WORKLOADS:
            yield from self.workload_errors(thing)
        if kind == "Service":
            yield from self.service_errors(spec)
        if kind == "ConfigMap" and "ribstream.toml" in thing["data"]:
            component = thing["metadata"]["labels"]["app.kubernetes.io/component"]
            settings = tomllib.loads(thing["data"]["ribstream.toml"])
            known = flags(f"ribstream-{component} run")
            for name in (settings | settings.pop("run")).keys() - known.keys() - {"run"}:
                yield f"sets {name}, which is no flag"
        if kind == "PodDisruptionBudget" or kind == "NetworkPolicy":
            selector = spec.get("selector") or spec["podSelector"]
            if not self.selected(selector):
                yield f"selects no pod: {selector}"
        if kind == "ServiceMonitor":
            services = [t for t in self.things if t["kind"] == "Service"]
            found = [t for t in services if selects(spec["selector"], t["metadata"]["labels"])]
            if not found:
                yield "selects no service"
            for service in found:
                ports = {port["name"] for port in service["spec"]["ports"]}
                missing = {endpoint["port"] for endpoint in spec["endpoints"]} - ports
                if missing or spec["jobLabel"] not in service["metadata"]["labels"]:
                    yield f"{title(service)} lacks port {missing} or the label {spec['jobLabel']}"
        if "scaleTargetRef" in spec:
            yield from self.scaling_errors(spec)
        for trigger in spec.get("triggers", []):
            name = trigger.get("authenticationRef", {}).get("name")
            if name and ("TriggerAuthentication", name) not in self.names:
                yield f"there is no TriggerAuthentication {name}"

    def selected(self, selector):
        return [template for _, template in self.pods if selects(selector, template["metadata"]["labels"])]

    def workload_errors(self, thing):
        template = thing["spec"]["template"]
        labels, pod = template["metadata"]["labels"], template["spec"]
        selector = thing["spec"].get("selector")
        if selector and not selects(selector, labels):
            yield "does not select its own pods"
        if selector and len(self.selected(selector)) != 1:
            yield "selects the pods of others"
        account = pod.get("serviceAccountName")
        if account and account != "default" and ("ServiceAccount", account) not in self.names:
            yield f"there is no ServiceAccount {account}"
        for volume in pod.get("volumes", []):
            name = volume.get("configMap", {}).get("name")
            if name and ("ConfigMap", name) not in self.names:
                yield f"there is no ConfigMap {name}"
        if "helm.sh/hook" in thing["metadata"].get("annotations", {}) and account:
            yield "is a hook, and needs a ServiceAccount that may not be there yet"
        for container in pod["containers"]:
            yield from container_errors(pod, container)
            seen = set()
            for variable in container.get("env", []):
                for name in variable.get("value", "").split("$(")[1:]:
                    if name.split(")")[0] not in seen:
                        yield f"{variable['name']} refers to {name.split(')')[0]}, which is not before it"
                seen.add(variable["name"])

    def service_errors(self, spec):
        templates = self.selected(spec["selector"])
        if len(templates) != 1:
            yield f"selects the pods of {len(templates)} workloads"
        for template in templates:
            ports = {port["name"] for c in template["spec"]["containers"] for port in c["ports"]}
            for port in spec["ports"]:
                if port["targetPort"] not in ports:
                    yield f"leads to port {port['targetPort']}, which is none"

    def scaling_errors(self, spec):
        target = spec["scaleTargetRef"]
        found = [
            t for t in self.things if (t["kind"], t["metadata"]["name"]) == (target["kind"], target["name"])
        ]
        if not found:
            yield f"scales {target['kind']} {target['name']}, which is none"
        elif "replicas" in found[0]["spec"]:
            yield "scales what has a fixed number of replicas"
        least = spec.get("minReplicas", spec.get("minReplicaCount"))
        most = spec.get("maxReplicas", spec.get("maxReplicaCount"))
        if least > most:
            yield f"has at least {least} and at most {most}"


def main():
    versions = sys.argv[1:]
    things = [thing for thing in yaml.safe_load_all(sys.stdin) if thing]
    if not things:
        sys.exit("there are no manifests")
    release = Release(things)
    wrong = [
        f"{title(thing)}: {error}"
        for thing in things
        for error in (*schema_errors(thing, versions), *release.errors(thing))
    ]
    if len(release.names) != len(things):
        wrong.append("two objects have the same kind and name")
    print("\n".join(wrong) or f"{len(things)} objects")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
