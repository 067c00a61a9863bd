{{- /*
Values that contradict each other. The schema says what one value may be; what has to fit another is said here, by name,
all of it at once.
*/ -}}
{{- define "borealis.checks" -}}
{{- $wrong := concat
  (include "borealis.checks.replicas" . | fromYamlArray)
  (include "borealis.checks.lease" . | fromYamlArray)
  (include "borealis.checks.tiers" . | fromYamlArray)
  (include "borealis.checks.network" . | fromYamlArray)
  (include "borealis.checks.monitoring" . | fromYamlArray) }}
{{- if $wrong }}
{{- printf "values that do not go together:\n- %s" (join "\n- " $wrong) | fail }}
{{- end }}
{{- end }}

{{- /* Milliseconds of a time such as 15s, which the schema has let through. */ -}}
{{- define "borealis.milliseconds" -}}
{{- $factor := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 }}
{{- mul (regexFind "^[0-9]+" .) (get $factor (regexFind "[a-z]+$" .)) }}
{{- end }}

{{- define "borealis.checks.replicas" -}}
{{- with .Values }}
{{- if and (eq (int .replicas) 0) .podDisruptionBudget.enabled }}
- "podDisruptionBudget.enabled: true, but replicas is 0: nothing is left to keep; set it to false, or replicas to 1 or more"
{{- end }}
{{- if eq .serviceAccount.name "default" }}
- "serviceAccount.name: default is the account of every Pod that names none, and policies trust the operator's; name another"
{{- end }}
{{- range $name := list "POD_NAME" "POD_NAMESPACE" "MIMALLOC_PURGE_DELAY" "MIMALLOC_ALLOW_THP" }}
{{- if hasKey $.Values.extraEnv $name }}
- {{ printf "extraEnv.%s: the chart sets it; leave it out" $name | quote }}
{{- end }}
{{- end }}
{{- range $values := list "commonLabels" "podLabels" }}
{{- range $name := list "app.kubernetes.io/name" "app.kubernetes.io/version" }}
{{- if hasKey (get $.Values $values) $name }}
- {{ printf "%s.%s: the chart sets it; leave it out" $values $name | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .caBundle.configMap (hasKey .extraEnv "SSL_CERT_FILE") }}
- "extraEnv.SSL_CERT_FILE: caBundle.configMap sets it as well; leave one of them out"
{{- end }}
{{- end }}
{{- end }}

{{- define "borealis.checks.lease" -}}
{{- with .Values.lease }}
{{- $duration := include "borealis.milliseconds" .duration | int64 }}
{{- $deadline := include "borealis.milliseconds" .renewDeadline | int64 }}
{{- $period := include "borealis.milliseconds" .retryPeriod | int64 }}
{{- if or (eq $duration 0) (ne (mod $duration 1000) 0) }}
- {{ printf "lease.duration: %s: use whole seconds, at least 1s" .duration | quote }}
{{- end }}
{{- if ge $deadline $duration }}
- {{ printf "lease.renewDeadline: %s: use less than lease.duration (%s), or two replicas may act at once" .renewDeadline .duration | quote }}
{{- end }}
{{- if ge (mul $period 2) $deadline }}
- {{ printf "lease.retryPeriod: %s: use less than half of lease.renewDeadline (%s), or one failed try loses the lease" .retryPeriod .renewDeadline | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "borealis.checks.tiers" -}}
{{- $tiers := .Values.tiers }}
{{- $known := keys $tiers | sortAlpha | join ", " }}
{{- if not (hasKey $tiers "preemptible") }}
- "tiers.preemptible: it is missing, and is the only tier of namespaces that no AuroraRole claims; add it"
{{- end }}
{{- range $name, $tier := $tiers }}
{{- if and $tier.revocable (not $tier.preemptible) }}
- {{ printf "tiers.%s.revocable: true, but preemptible is false: what lives on the room of others must make way; set preemptible to true" $name | quote }}
{{- end }}
{{- if and $tier.dryRun (eq $tier.preemption "Scheduler") }}
- {{ printf "tiers.%s.dryRun: true, but preemption is Scheduler, which knows no dry run; leave one of them out" $name | quote }}
{{- end }}
{{- end }}
{{- range $name, $role := .Values.roles }}
{{- $default := $role.defaultTier | default "preemptible" }}
{{- range $tier := $role.tiers }}
{{- if not (hasKey $tiers $tier) }}
- {{ printf "roles.%s.tiers: there is no tier %s among tiers (%s); name one of them, or add it" $name $tier $known | quote }}
{{- end }}
{{- end }}
{{- if not (hasKey $tiers $default) }}
- {{ printf "roles.%s.defaultTier: there is no tier %s among tiers (%s); name one of them, or add it" $name $default $known | quote }}
{{- end }}
{{- if and $role.tiers (not (has $default $role.tiers)) }}
- {{ printf "roles.%s.defaultTier: %s is not among the role's own tiers (%s); add it there, or name one of them" $name $default (join ", " $role.tiers) | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "borealis.checks.network" -}}
{{- with .Values.networkPolicy }}
{{- if and .enabled .egress.restricted (not .egress.rules) }}
- "networkPolicy.egress.restricted: true, but networkPolicy.egress.rules is empty: the operator could not reach the API server; give rules, or set it to false"
{{- end }}
{{- if and .egress.rules (not .egress.restricted) }}
- "networkPolicy.egress.rules: they have no effect while networkPolicy.egress.restricted is false; set it to true, or leave them out"
{{- end }}
{{- end }}
{{- end }}

{{- define "borealis.checks.monitoring" -}}
{{- with .Values }}
{{- if and .serviceMonitor.enabled .podMonitor.enabled }}
- "podMonitor.enabled: true, but serviceMonitor.enabled is as well: each replica would be counted twice; set one of them to false"
{{- end }}
{{- if and .serviceMonitor.enabled (not .service.enabled) }}
- "serviceMonitor.enabled: true, but service.enabled is false: there is nothing to find the replicas by; set it to true, or use podMonitor"
{{- end }}
{{- end }}
{{- $known := list }}
{{- range (.Files.Get "files/alerts.yaml" | fromYaml).groups }}
{{- range .rules }}{{ $known = append $known .alert }}{{ end }}
{{- end }}
{{- range .Values.prometheusRule.disabled }}
{{- if not (has . $known) }}
- {{ printf "prometheusRule.disabled: there is no alert %s; there are %s" . (join ", " $known) | quote }}
{{- end }}
{{- end }}
{{- end }}
