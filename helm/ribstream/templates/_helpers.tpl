{{- define "ribstream.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "ribstream.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "ribstream.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "ribstream.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods of a component: (list $ "collector"). It must never change. */}}
{{- define "ribstream.selector" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: {{ include "ribstream.name" $ }}
app.kubernetes.io/instance: {{ $.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* (list $ "collector") */}}
{{- define "ribstream.labels" -}}
{{- $ := index . 0 -}}
{{ include "ribstream.selector" . }}
app.kubernetes.io/part-of: ribstream
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with $.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* metadata of an object: (list $ "collector" "name") */}}
{{- define "ribstream.metadata" -}}
{{- $ := index . 0 -}}
name: {{ index . 2 }}
namespace: {{ $.Release.Namespace }}
labels:
  {{- include "ribstream.labels" . | nindent 2 }}
{{- end -}}

{{/* Those of metadata, indented, after a newline; nothing where there are none: (list $ dict) */}}
{{- define "ribstream.annotations" -}}
{{- with merge (dict) (index . 1) (index . 0).Values.commonAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}

{{/* (list $ .Values.collector.image) */}}
{{- define "ribstream.image" -}}
{{- $ := index . 0 -}}
{{- $image := index . 1 -}}
{{- if $image.digest -}}
{{- printf "%s/%s@%s" $.Values.image.registry $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s/%s:%s" $.Values.image.registry $image.repository (default $.Chart.AppVersion $.Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "ribstream.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ribstream.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* One line of TOML. What YAML read as a number is a float, which a flag would not take. */}}
{{- define "ribstream.setting" -}}
{{- $value := index . 1 -}}
{{ index . 0 }} = {{ if kindIs "float64" $value }}{{ int64 $value }}{{ else }}{{ toRawJson $value }}{{ end }}
{{- end -}}

{{/* What librdkafka is told, secrets by the names of their variables. */}}
{{- define "ribstream.kafkaProperties" -}}
{{- $properties := dict -}}
{{- $tls := .Values.kafka.tls -}}
{{- $sasl := .Values.kafka.sasl -}}
{{- if and $tls.enabled $sasl.existingSecret -}}
{{- $_ := set $properties "security.protocol" "sasl_ssl" -}}
{{- else if $tls.enabled -}}
{{- $_ := set $properties "security.protocol" "ssl" -}}
{{- else if $sasl.existingSecret -}}
{{- $_ := set $properties "security.protocol" "sasl_plaintext" -}}
{{- end -}}
{{- if and $tls.enabled $tls.existingSecret -}}
{{- if $tls.caKey -}}
{{- $_ := set $properties "ssl.ca.location" (printf "/etc/ribstream/kafka/%s" $tls.caKey) -}}
{{- end -}}
{{- if $tls.certificateKey -}}
{{- $_ := set $properties "ssl.certificate.location" (printf "/etc/ribstream/kafka/%s" $tls.certificateKey) -}}
{{- $_ := set $properties "ssl.key.location" (printf "/etc/ribstream/kafka/%s" (required "kafka.tls.privateKeyKey must go with certificateKey" $tls.privateKeyKey)) -}}
{{- end -}}
{{- end -}}
{{- if $sasl.existingSecret -}}
{{- $_ := set $properties "sasl.mechanisms" $sasl.mechanism -}}
{{- $_ := set $properties "sasl.username" "$(KAFKA_USERNAME)" -}}
{{- $_ := set $properties "sasl.password" "$(KAFKA_PASSWORD)" -}}
{{- end -}}
{{- $properties = merge (dict) .Values.kafka.properties $properties -}}
{{- $list := list -}}
{{- range $key := keys $properties | sortAlpha -}}
{{- $value := get $properties $key -}}
{{- if kindIs "float64" $value }}{{ $value = int64 $value }}{{ end -}}
{{- $list = append $list (printf "%s=%v" $key $value) -}}
{{- end -}}
{{- join "," $list -}}
{{- end -}}

{{/* Kafka's part of a container's env, as a list whose items are indented, after a newline. */}}
{{- define "ribstream.kafkaEnv" -}}
{{- with .Values.kafka.sasl }}
{{- if .existingSecret }}
            - name: KAFKA_USERNAME
              valueFrom:
                secretKeyRef: {name: {{ .existingSecret }}, key: {{ .usernameKey }}}
            - name: KAFKA_PASSWORD
              valueFrom:
                secretKeyRef: {name: {{ .existingSecret }}, key: {{ .passwordKey }}}
{{- end }}
{{- end }}
{{- with include "ribstream.kafkaProperties" . }}
            - name: RIBSTREAM_KAFKA_PROPERTY
              value: {{ quote . }}
{{- end }}
{{- end -}}

{{- define "ribstream.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "ribstream.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where pods go, as part of their spec, after a newline: .Values.collector */}}
{{- define "ribstream.placement" -}}
{{- with .nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
{{- end }}
{{- with .affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
{{- end }}
{{- with .priorityClassName }}
      priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* (list $ "collector" .Values.collector) */}}
{{- define "ribstream.spread" -}}
{{- $ := index . 0 -}}
{{- $component := index . 1 -}}
topologySpreadConstraints:
{{- if (index . 2).topologySpreadConstraints }}
  {{- toYaml (index . 2).topologySpreadConstraints | nindent 2 }}
{{- else }}
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    # Of one revision among themselves: those that a rollout is about to end do not count.
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "ribstream.selector" (list $ $component) | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "ribstream.egressDns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{- define "ribstream.egressKafka" -}}
{{- $ports := .Values.networkPolicy.kafkaPorts -}}
{{- if not $ports -}}
{{- $ports = list -}}
{{- range splitList "," (nospace .Values.kafka.brokers) -}}
{{- $ports = append $ports (regexFind "[0-9]+$" . | int) -}}
{{- end -}}
{{- end -}}
- ports:
    {{- range uniq $ports }}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
  {{- with .Values.networkPolicy.kafkaTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "ribstream.egressDatabase" -}}
- ports:
    - {port: {{ int .Values.database.port }}, protocol: TCP}
  {{- with .Values.networkPolicy.databaseTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "ribstream.ingressMetrics" -}}
- ports:
    - {port: http, protocol: TCP}
  {{- with .Values.networkPolicy.metricsFrom }}
  from:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Whether routers may connect in the clear. */}}
{{- define "ribstream.plainBmp" -}}
{{- if or .Values.collector.tls.plain (not .Values.collector.tls.existingSecret) }}yes{{ end }}
{{- end }}
