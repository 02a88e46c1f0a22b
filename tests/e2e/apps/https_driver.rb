# SPDX-License-Identifier: Apache-2.0
# https_driver.rb PORT FOLDER VERSION CONNECTIONS: as https_driver.py, by Net::HTTP, a thread for each connection.
require 'json'
require 'net/http'
require 'openssl'

port, folder, version, connections = ARGV
plan = []
while (line = $stdin.gets) != "go\n"
  plan << JSON.parse(line)
end
KINDS = { 'GET' => Net::HTTP::Get, 'POST' => Net::HTTP::Post, 'HEAD' => Net::HTTP::Head, 'DELETE' => Net::HTTP::Delete }.freeze
version = { '1.2' => OpenSSL::SSL::TLS1_2_VERSION, '1.3' => OpenSSL::SSL::TLS1_3_VERSION }[version]
results = Queue.new

ask = lambda do |mine|
  http = Net::HTTP.new('localhost', port.to_i, nil)
  http.use_ssl = true
  http.ca_file = "#{folder}/cert.pem"
  http.min_version = http.max_version = version
  http.start do
    mine.each do |r|
      request = KINDS[r['method']].new(r['path'])
      request.body = 'u' * r['body'] if r['body'] > 0
      begin_ns = Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
      status = http.request(request).code.to_i
      results << { path: r['path'], status: status, ns: Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond) - begin_ns }
    end
  end
end

parts = plan.each_with_index.group_by { |_, i| i % connections.to_i }.values
parts.map { |part| Thread.new { ask.(part.map(&:first)) } }.each(&:join)
puts JSON.generate(results.pop) until results.empty?
